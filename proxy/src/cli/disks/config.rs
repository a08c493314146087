//! What belongs into the configuration file after a change: the gateway does not write it, and the next start reads it.

use crate::cli::table::harmless;

/// The lines to write, and when.
pub(super) fn advice(when: &str, folders: &[String]) -> String {
    let list = list(folders);
    format!(
        "write this to the configuration {when}, for the next start:\n[store]\ndisks = {list}\n"
    )
}

fn list(folders: &[String]) -> String {
    let folders = folders.iter().cloned().map(toml::Value::String);
    harmless(&toml::Value::Array(folders.collect()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_written_as_the_file_wants_them() {
        let check = |folders: &[&str]| {
            let folders: Vec<String> = folders.iter().map(|&folder| folder.to_owned()).collect();
            let text = advice("now", &folders);
            let (_, toml) = text.split_once(":\n").unwrap();
            let read: toml::Table = toml.parse().unwrap();
            let read = read["store"]["disks"].as_array().unwrap().clone();
            let read: Vec<&str> = read.iter().map(|value| value.as_str().unwrap()).collect();
            assert_eq!(read, folders);
        };
        check(&["/data/a", "/data/b"]);
        check(&[]);
        check(&["/it's \"so\"", "/a\\b", "/é"]);
        let plain = list(&["/data/a".to_owned(), "b".to_owned()]);
        assert_eq!(plain, r#"["/data/a", "b"]"#);
    }
}
