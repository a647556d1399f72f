//! Names with `*` (any text) and `?` (any one character), as a shell matches file names.

pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether the whole of `name` is of the pattern's form. Takes time proportional to the product of the lengths at most.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where to go on if the text after the last star turns out not to fit: the star takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, seen));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match retry {
                Some((after_star, taken)) => {
                    retry = Some((after_star, taken + 1));
                    (at, seen) = (after_star, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let table = [
            ("*", "", true),
            ("*", "pay", true),
            ("pay*", "payments", true),
            ("pay*", "repay", false),
            ("*ab*ab", "abxabxab", true),
            ("a*b?c", "a-b-bxc", true),
            ("a*b?c", "a-b-bc", false),
            ("?", "", false),
            ("?", "é", true),
            ("plain", "plain", true),
            ("plain", "plainer", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
