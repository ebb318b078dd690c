//! The `LIKE` operator.

/// True when the whole text matches: `%` is any text, `_` is any one character, the escape character makes the next one literal.
pub(super) fn like(text: &str, pattern: &str, escape: Option<char>) -> bool {
    let mut text = text.chars();
    let mut pattern = pattern.chars();
    // Where to go on when a match fails: after the last `%`, one character further in the text. Going back to earlier ones cannot help.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let before = text.clone();
        let matched = match pattern.next() {
            None => match text.next() {
                None => return true,
                Some(_) => false,
            },
            Some('%') if escape != Some('%') => {
                if pattern.as_str().is_empty() {
                    return true;
                }
                retry = Some((before.clone(), pattern.clone()));
                text = before;
                continue;
            }
            Some('_') if escape != Some('_') => text.next().is_some(),
            Some(char) => {
                // a trailing escape character stands for itself
                let char = if escape == Some(char) { pattern.next().unwrap_or(char) } else { char };
                text.next() == Some(char)
            }
        };
        if !matched {
            let Some((from, rest)) = &mut retry else { return false };
            if from.next().is_none() {
                return false;
            }
            text = from.clone();
            pattern = rest.clone();
        }
    }
}
