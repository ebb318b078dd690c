//! Windows command lines: one text, which each program splits into its arguments by the rules of Microsoft's C runtime.
//!
//! Blanks separate arguments, but not within quotes. A backslash is itself, unless quotes follow: then two are one, and an odd one makes the quotes a character. Within quotes `""` is a quote as well.

/// Arguments as the command line that Windows would split into them.
pub fn join(args: &[String]) -> String {
    let mut line = String::new();
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            line.push(' ');
        }
        if !arg.is_empty() && !arg.contains([' ', '\t', '"']) {
            line.push_str(arg);
            continue;
        }
        line.push('"');
        let mut backslashes = 0;
        for char in arg.chars() {
            if char == '\\' {
                backslashes += 1;
            } else {
                if char == '"' {
                    line.extend(std::iter::repeat_n('\\', backslashes + 1));
                }
                backslashes = 0;
            }
            line.push(char);
        }
        line.extend(std::iter::repeat_n('\\', backslashes));
        line.push('"');
    }
    line
}

/// The arguments of a command line, the program first. `None` when quotes are left open: who has written that has meant something else, or the line was cut off.
pub fn split(line: &str) -> Option<Vec<String>> {
    let mut args = Vec::new();
    let mut arg: Option<String> = None;
    let mut quoted = false;
    let mut backslashes = 0;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        if char == '\\' {
            backslashes += 1;
            continue;
        }
        let before = std::mem::take(&mut backslashes);
        if char == '"' {
            let arg = arg.get_or_insert_default();
            arg.extend(std::iter::repeat_n('\\', before / 2));
            if before % 2 == 1 || (quoted && chars.next_if_eq(&'"').is_some()) {
                arg.push('"');
            } else {
                quoted = !quoted;
            }
            continue;
        }
        if before > 0 {
            arg.get_or_insert_default().extend(std::iter::repeat_n('\\', before));
        }
        if quoted || !matches!(char, ' ' | '\t') {
            arg.get_or_insert_default().push(char);
        } else {
            args.extend(arg.take());
        }
    }
    if backslashes > 0 {
        arg.get_or_insert_default().extend(std::iter::repeat_n('\\', backslashes));
    }
    args.extend(arg);
    (!quoted).then_some(args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_joined_is_split_again(args in proptest::collection::vec("[a\\\\\" \t]{0,6}", 0..5)) {
            prop_assert_eq!(split(&join(&args)), Some(args));
        }

        #[test]
        fn any_line_is_split_or_refused(line in any::<String>()) {
            let _ = split(&line);
        }
    }

    #[test]
    fn command_lines_are_quoted_where_windows_needs_it() {
        let join = |args: &[&str]| join(&args.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(join(&["C:\\a.exe", "-x", ""]), r#"C:\a.exe -x """#);
        assert_eq!(
            join(&["C:\\Program Files\\a.exe", "C:\\b c\\"]),
            r#""C:\Program Files\a.exe" "C:\b c\\""#
        );
        assert_eq!(join(&["say", "\"hi\\\""]), r#"say "\"hi\\\"""#);
    }

    #[test]
    fn command_lines_as_people_write_them() {
        let args = |line: &str| split(line).map(|args| args.join("|"));
        assert_eq!(
            args(r#""C:\Program Files\a.exe"  /c "b c" d"#).as_deref(),
            Some(r"C:\Program Files\a.exe|/c|b c|d")
        );
        assert_eq!(args(r"\\srv\share\x.exe a\b\").as_deref(), Some(r"\\srv\share\x.exe|a\b\"));
        assert_eq!(
            args(r#"x "say ""hi"" now" y"z w"v"#).as_deref(),
            Some(r#"x|say "hi" now|yz wv"#)
        );
        assert_eq!(args(r#"cmd /c "echo"#), None);
        assert_eq!(split("  "), Some(vec![]));
    }
}
