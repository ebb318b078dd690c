//! The lexer.
//!
//! Keywords are not tokens of their own: nearly all of them may also be names, so the parser compares words where the grammar has a keyword.
//! What is no token of SQL (a string that never ends, a stray character) becomes a token too, which no rule of the parser accepts: the error is
//! then reported where the parser meets it, after every statement before it has been read.

use logos::Logos;

use super::error::Span;

/// One token; its text is the slice at its span.
#[derive(Logos, Clone, Copy, PartialEq, Eq, Debug)]
#[logos(skip r"[ \t\r\n\f\u{FEFF}]+")]
#[logos(skip(r"--[^\n]*", allow_greedy = true))]
#[logos(skip r"/\*([^*]|\*+[^*/])*\*+/")]
pub enum Token {
    /// A bare name or a keyword.
    #[regex(r"[\p{L}_][\p{L}\p{N}_@]*")]
    Word,
    /// `` `name` ``, a backquote inside doubled.
    #[regex(r"`([^`]|``)*`")]
    Backquoted,
    /// `"name"`, a quote inside doubled.
    #[regex(r#""([^"]|"")*""#)]
    DoubleQuoted,
    /// `'text'`, an apostrophe inside doubled.
    #[regex(r"'([^']|'')*'")]
    String,
    /// `12`
    #[regex(r"[0-9]+")]
    Integer,
    /// `1.5`, `.5`, `1.`
    #[regex(r"[0-9]+\.[0-9]*|\.[0-9]+")]
    Decimal,
    /// `1e3`, `1.5E-3`
    #[regex(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][+-]?[0-9]+")]
    Float,
    /// `${name}`
    #[regex(r"\$\{[^}\n]*\}")]
    Variable,
    /// `(`
    #[token("(")]
    Open,
    /// `)`
    #[token(")")]
    Close,
    /// `[`
    #[token("[")]
    OpenBracket,
    /// `]`
    #[token("]")]
    CloseBracket,
    /// `,`
    #[token(",")]
    Comma,
    /// `.`
    #[token(".")]
    Dot,
    /// `;`
    #[token(";")]
    Semicolon,
    /// `+`
    #[token("+")]
    Plus,
    /// `-`
    #[token("-")]
    Minus,
    /// `*`
    #[token("*")]
    Star,
    /// `/`
    #[token("/")]
    Slash,
    /// `%`
    #[token("%")]
    Percent,
    /// `||`
    #[token("||")]
    Concat,
    /// `=`
    #[token("=")]
    #[token("==")]
    Equal,
    /// `<>` or `!=`
    #[token("<>")]
    #[token("!=")]
    NotEqual,
    /// `<`
    #[token("<")]
    Less,
    /// `<=`
    #[token("<=")]
    LessEqual,
    /// `>`
    #[token(">")]
    Greater,
    /// `>=`
    #[token(">=")]
    GreaterEqual,
    /// `->`
    #[token("->")]
    Arrow,
    /// `=>`
    #[token("=>")]
    FatArrow,
    /// `:=`
    #[token(":=")]
    Assign,
    /// A bare name that begins with digits: KSQL has them.
    #[regex(r"[0-9]+[\p{L}_@][\p{L}\p{N}_@]*", priority = 1)]
    DigitWord,
    /// A number with a point that runs into letters.
    #[regex(r"([0-9]+\.[0-9]+|\.[0-9]+)[\p{L}_@][\p{L}\p{N}_@]*", priority = 1)]
    BadNumber,
    /// A string, quoted name or comment without an end.
    #[regex(r"'([^']|'')*", allow_greedy = true)]
    #[regex(r"`([^`]|``)*", allow_greedy = true)]
    #[regex(r#""([^"]|"")*"#, allow_greedy = true)]
    #[regex(r"/\*([^*]|\*+[^*/])*\**", allow_greedy = true)]
    Unclosed,
    /// Any other character.
    Unknown,
    /// The end of the text, at any number of positions.
    End,
}

impl Token {
    /// How the token is called where it is expected.
    pub fn name(self) -> &'static str {
        match self {
            Token::Word | Token::DigitWord | Token::Backquoted | Token::DoubleQuoted => "a name",
            Token::String => "a string",
            Token::Integer => "a whole number",
            Token::Decimal | Token::Float => "a number",
            Token::Variable => "a variable",
            Token::Open => "`(`",
            Token::Close => "`)`",
            Token::OpenBracket => "`[`",
            Token::CloseBracket => "`]`",
            Token::Comma => "`,`",
            Token::Dot => "`.`",
            Token::Semicolon => "`;`",
            Token::Plus => "`+`",
            Token::Minus => "`-`",
            Token::Star => "`*`",
            Token::Slash => "`/`",
            Token::Percent => "`%`",
            Token::Concat => "`||`",
            Token::Equal => "`=`",
            Token::NotEqual => "`<>`",
            Token::Less => "`<`",
            Token::LessEqual => "`<=`",
            Token::Greater => "`>`",
            Token::GreaterEqual => "`>=`",
            Token::Arrow => "`->`",
            Token::FatArrow => "`=>`",
            Token::Assign => "`:=`",
            Token::BadNumber | Token::Unclosed | Token::Unknown => "a token",
            Token::End => "the end",
        }
    }
}

/// Splits a text into tokens, without spaces and comments.
pub fn tokens(text: &str) -> Vec<(Token, Span)> {
    Token::lexer(text)
        .spanned()
        .map(|(token, range)| {
            (token.unwrap_or(Token::Unknown), Span { start: range.start, end: range.end })
        })
        .collect()
}

/// Words that are never names unless quoted: those without which a clause's end could not be told from an alias.
///
/// Sorted, for the binary search in [`is_reserved`].
const RESERVED: &[&str] = &[
    "AND", "AS", "BETWEEN", "CASE", "CAST", "CREATE", "DISTINCT", "DROP", "ELSE", "END", "EXISTS",
    "FALSE", "FROM", "FULL", "GROUP", "HAVING", "IN", "INNER", "INSERT", "INTO", "IS", "JOIN",
    "LEFT", "LIKE", "LIMIT", "NOT", "NULL", "ON", "OR", "OUTER", "RIGHT", "SELECT", "THEN", "TRUE",
    "UNION", "WHEN", "WHERE", "WINDOW", "WITH", "WITHIN",
];

/// True for an upper-case word that must be quoted to be a name.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// True for an upper-case word that begins a constructor when a bracket follows, and a name otherwise.
pub fn is_constructor(word: &str) -> bool {
    matches!(word, "ARRAY" | "MAP" | "STRUCT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<Token> {
        tokens(text).into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn longest_match() {
        use Token::*;
        assert_eq!(kinds("a->b=>c:=d"), [Word, Arrow, Word, FatArrow, Word, Assign, Word]);
        assert_eq!(
            kinds("1 1.5 .5 1e3 1.5E-3 1a 12_b 1.5x"),
            [Integer, Decimal, Decimal, Float, Float, DigitWord, DigitWord, BadNumber]
        );
        assert_eq!(kinds("a -- b\n/* c ** / */ d /**/ e"), [Word, Word, Word]);
        assert_eq!(kinds("'it''s' `a``b` \"c\"\"d\""), [String, Backquoted, DoubleQuoted]);
        assert_eq!(kinds("a.b"), [Word, Dot, Word]);
        assert_eq!(kinds("${x}"), [Variable]);
        assert_eq!(kinds("-- last line"), []);
    }

    #[test]
    fn what_has_no_end_is_a_token() {
        use Token::*;
        assert_eq!(kinds("a 'b''c; d"), [Word, Unclosed]);
        assert_eq!(kinds("a /* b * "), [Word, Unclosed]);
        assert_eq!(kinds("a `b"), [Word, Unclosed]);
        assert_eq!(kinds("a ? b"), [Word, Unknown, Word]);
    }

    #[test]
    fn reserved_words_are_sorted() {
        assert!(RESERVED.is_sorted());
    }

    proptest! {
        #[test]
        fn tokens_are_in_order_and_apart(text: std::string::String) {
            let mut at = 0;
            for (_, span) in tokens(&text) {
                prop_assert!(span.start >= at && span.end > span.start);
                at = span.end;
            }
            prop_assert!(at <= text.len());
        }
    }
}
