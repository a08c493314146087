//! Commands of the program, given to the gateway of a test.

use super::builder::{Home, binary};
use crate::program::{Program, Run};

impl Home {
    /// Runs `weir WORDS…` for the gateway that lives here, and waits for its end.
    pub async fn weir<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Run {
        let program = Program::new(binary()).args(words);
        let program = program.arg("--config").arg(self.config_file());
        program.args(self.data_arguments()).run().await
    }
}
