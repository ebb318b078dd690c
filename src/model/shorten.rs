//! Long text cut down so that it still can be told from others.
//!
//! What is left is the beginning, then how long the text was and its hash: `powershell -enc JABz…[31934 bytes, BLAKE3 0f3a5c9e12b4d678]`. Equal texts stay equal, and different ones different.

/// The text, when it has more than `most` bytes, in at most `most` bytes, or what length and hash take where that is more. `None` when it has not.
pub fn shorten(text: &str, most: usize) -> Option<String> {
    if text.len() <= most {
        return None;
    }
    let hash = blake3::hash(text.as_bytes());
    let told = format!("…[{} bytes, BLAKE3 {}]", text.len(), &hash.to_hex()[..16]);
    let kept = text.floor_char_boundary(most.saturating_sub(told.len()));
    Some(format!("{}{told}", &text[..kept]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_left_is_bounded_and_tells_texts_apart(text in "\\PC{0,300}", other in "\\PC{0,300}", most in 0usize..400) {
            match shorten(&text, most) {
                None => prop_assert!(text.len() <= most),
                Some(short) => {
                    prop_assert!(text.len() > most && short.len() <= most.max(64));
                    let (kept, _) = short.rsplit_once("…[").unwrap();
                    prop_assert!(text.starts_with(kept));
                    prop_assert_eq!(shorten(&other, most) == Some(short), text == other);
                }
            }
        }
    }
}
