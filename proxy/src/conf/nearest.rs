//! The known name that a mistyped one most probably stands for.

/// The candidate with the smallest edit distance to `name`; the first of equals. `None` only without candidates.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .min_by_key(|candidate| distance(name, candidate))
}

/// Longest name that is compared in full, characters: the cost grows with the product of both lengths.
const COMPARED_CHARACTERS_MAX: usize = 64;

/// Levenshtein distance: how many characters must be inserted, removed or replaced.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().take(COMPARED_CHARACTERS_MAX).collect();
    // row[i] is the distance from what was read of `from` to the first i characters of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (read, from_character) in from.chars().take(COMPARED_CHARACTERS_MAX).enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut left = read + 1;
        next.push(left);
        for (pair, to_character) in row.windows(2).zip(&to) {
            let &[diagonal, above] = pair else { continue };
            let replaced = diagonal + usize::from(from_character != *to_character);
            left = replaced.min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_edits() {
        let check = |from, to, edits| assert_eq!(distance(from, to), edits, "{from} → {to}");
        check("", "", 0);
        check("", "abc", 3);
        check("abc", "", 3);
        check("kitten", "sitting", 3);
        check("head_timout", "head_timeout", 1);
        check("é", "e", 1);
    }

    #[test]
    fn the_first_of_the_closest_is_chosen() {
        assert_eq!(
            nearest("adimn", ["proxy", "admin", "path_forms"]),
            Some("admin")
        );
        assert_eq!(nearest("a", ["b", "c"]), Some("b"));
        assert_eq!(nearest("a", []), None);
    }
}
