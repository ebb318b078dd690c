//! Recursive descent over the tokens; precedence climbing for expressions.
//!
//! Every question "is this word or symbol next?" is noted until the next token is taken. When no rule fits, the notes are what the error says
//! was expected, so messages can never disagree with the grammar.
//!
//! Recursion is bounded by [`MAX_DEPTH`], the height of what loops build (chains of operators) by [`MAX_HEIGHT`](super::ast::MAX_HEIGHT).

mod expr;
mod query;
mod statement;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(in crate::sql) use tests::generated_expr;

use super::ast::{Duration, Ident, Literal, Statement, TimeUnit, TypeName};
use super::error::{Span, SqlError};
use super::token::{Token, is_constructor, is_reserved, tokens};

/// Greatest depth of nesting: parentheses, functions, subqueries, types.
pub const MAX_DEPTH: u32 = 100;

type Result<T> = std::result::Result<T, SqlError>;

/// Reads a list of statements; the last one needs no semicolon.
///
/// ```
/// let statements = helkflow::sql::parse("CREATE STREAM s WITH (KAFKA_TOPIC='t'); select * from s").unwrap();
/// assert_eq!(statements[1].0.to_string(), "SELECT * FROM S");
/// ```
pub fn parse(text: &str) -> Result<Vec<(Statement, Span)>> {
    Parser::new(text).statements().map_err(|error| error.in_text(text))
}

/// Reads exactly one statement.
pub fn parse_one(text: &str) -> Result<Statement> {
    let statements = parse(text)?;
    let second = statements.get(1).map(|(_, span)| *span);
    match statements.into_iter().next() {
        Some((statement, _)) if second.is_none() => Ok(statement),
        _ => Err(SqlError::new(second.unwrap_or_default(), "there must be exactly one statement")
            .in_text(text)),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    expected: Vec<&'static str>,
    depth: u32,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Parser { text, tokens: tokens(text), at: 0, expected: Vec::new(), depth: 0 }
    }

    fn statements(&mut self) -> Result<Vec<(Statement, Span)>> {
        let mut statements = Vec::new();
        loop {
            while self.eat(Token::Semicolon) {}
            if self.peek() == Token::End {
                return Ok(statements);
            }
            let start = self.span();
            let statement = self.statement()?;
            statements.push((statement, start.to(self.last_span())));
            if self.peek() != Token::End {
                self.expect(Token::Semicolon)?;
            }
        }
    }

    fn peek(&self) -> Token {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Token {
        self.tokens.get(self.at + ahead).map_or(Token::End, |(token, _)| *token)
    }

    fn span(&self) -> Span {
        let end = Span { start: self.text.len(), end: self.text.len() };
        self.tokens.get(self.at).map_or(end, |(_, span)| *span)
    }

    /// Where the token before this one stands.
    fn last_span(&self) -> Span {
        self.at.checked_sub(1).map(|at| self.tokens[at].1).unwrap_or_default()
    }

    fn slice(&self, span: Span) -> &'t str {
        &self.text[span.start..span.end]
    }

    fn bump(&mut self) -> Span {
        let span = self.span();
        self.at += 1;
        self.expected.clear();
        span
    }

    /// Goes back to a token that was passed.
    fn rewind(&mut self, at: usize) {
        self.at = at;
        self.expected.clear();
    }

    fn note(&mut self, expected: &'static str) {
        if !self.expected.contains(&expected) {
            self.expected.push(expected);
        }
    }

    fn at(&mut self, token: Token) -> bool {
        self.note(token.name());
        self.peek() == token
    }

    fn eat(&mut self, token: Token) -> bool {
        let found = self.at(token);
        if found {
            self.bump();
        }
        found
    }

    fn expect(&mut self, token: Token) -> Result<Span> {
        if self.at(token) { Ok(self.bump()) } else { Err(self.unexpected()) }
    }

    /// Is the token `ahead` from here this keyword? Notes nothing.
    fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        match self.tokens.get(self.at + ahead) {
            Some((Token::Word, span)) => self.slice(*span).eq_ignore_ascii_case(word),
            _ => false,
        }
    }

    fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    fn at_word(&mut self, word: &'static str) -> bool {
        self.note(word);
        self.is_word(word)
    }

    fn eat_word(&mut self, word: &'static str) -> bool {
        let found = self.at_word(word);
        if found {
            self.bump();
        }
        found
    }

    fn expect_word(&mut self, word: &'static str) -> Result<Span> {
        if self.at_word(word) { Ok(self.bump()) } else { Err(self.unexpected()) }
    }

    /// Takes all of the words or none.
    fn eat_words(&mut self, words: &'static [&'static str]) -> Result<bool> {
        if !self.eat_word(words[0]) {
            return Ok(false);
        }
        for word in &words[1..] {
            self.expect_word(word)?;
        }
        Ok(true)
    }

    /// The error for the token that no rule accepts.
    fn unexpected(&self) -> SqlError {
        let span = self.span();
        let found = self.slice(span);
        let message = match self.peek() {
            Token::End => "the text ends too early".to_string(),
            Token::Unclosed => {
                let what = match found.as_bytes().first() {
                    Some(b'\'') => "string",
                    Some(b'/') => "comment",
                    _ => "name",
                };
                let first = Span { start: span.start, end: span.start + 1 };
                return SqlError::new(first, format!("this {what} is not closed"));
            }
            Token::BadNumber => format!("`{found}` is neither a number nor a name"),
            Token::Variable => format!("the variable {found} is not defined"),
            Token::String => format!("unexpected string {found}"),
            _ => format!("unexpected `{found}`"),
        };
        let mut error = SqlError::new(span, message);
        error.expected = self.expected.iter().map(ToString::to_string).collect();
        if self.peek() == Token::Word {
            let upper = found.to_uppercase();
            let words = self
                .expected
                .iter()
                .copied()
                .filter(|word| word.chars().all(|c| c.is_ascii_uppercase()));
            error = error.near(found, words);
            if error.hint.is_none()
                && self.expected.contains(&Token::Word.name())
                && is_reserved(&upper)
            {
                error.hint =
                    Some(format!("{upper} is a reserved word; as a name it needs backquotes"));
            }
        }
        error
    }

    /// Runs a rule that may contain itself.
    fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(SqlError::new(
                self.span(),
                format!("nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        self.depth += 1;
        let result = rule(self);
        self.depth -= 1;
        result
    }

    /// `rule, rule, …`, one or more.
    fn commas<T>(&mut self, mut rule: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![rule(self)?];
        while self.eat(Token::Comma) {
            items.push(rule(self)?);
        }
        Ok(items)
    }

    /// `(rule, rule, …)`, one or more.
    fn parenthesised<T>(&mut self, rule: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect(Token::Open)?;
        let items = self.commas(rule)?;
        self.expect(Token::Close)?;
        Ok(items)
    }

    /// Is the token `ahead` from here a name? Notes nothing.
    fn is_ident_at(&self, ahead: usize) -> bool {
        match self.tokens.get(self.at + ahead) {
            Some((Token::Word, span)) => !is_reserved(&self.slice(*span).to_uppercase()),
            Some((Token::DigitWord | Token::Backquoted | Token::DoubleQuoted, _)) => true,
            _ => false,
        }
    }

    fn ident(&mut self) -> Result<Ident> {
        self.note(Token::Word.name());
        if !self.is_ident_at(0) {
            return Err(self.unexpected());
        }
        let token = self.peek();
        let span = self.bump();
        let text = self.slice(span);
        let name = match token {
            Token::Word | Token::DigitWord => text.to_uppercase(),
            Token::Backquoted => text[1..text.len() - 1].replace("``", "`"),
            _ => text[1..text.len() - 1].replace("\"\"", "\""),
        };
        if name.is_empty() {
            return Err(SqlError::new(span, "a name cannot be empty"));
        }
        Ok(Ident { name, span })
    }

    /// A name of something outside of SQL, such as a topic: bare names are not upper-cased. A string will do as well.
    fn raw_name(&mut self) -> Result<String> {
        if self.at(Token::String) {
            return self.string();
        }
        let ident = self.ident()?;
        let text = self.slice(ident.span);
        Ok(if text.starts_with(['`', '"']) { ident.name } else { text.to_string() })
    }

    fn string(&mut self) -> Result<String> {
        let span = self.expect(Token::String)?;
        let text = self.slice(span);
        Ok(text[1..text.len() - 1].replace("''", "'"))
    }

    fn integer(&mut self) -> Result<u64> {
        let span = self.expect(Token::Integer)?;
        self.slice(span).parse().map_err(|_| SqlError::new(span, "this number is too large"))
    }

    /// `7 DAYS`
    fn duration(&mut self) -> Result<Duration> {
        let count = self.integer()?;
        self.note("a unit of time such as SECONDS or DAYS");
        let span = self.span();
        match TimeUnit::parse(&self.slice(span).to_uppercase()) {
            Some(unit) if self.peek() == Token::Word => {
                self.bump();
                Ok(Duration { count, unit })
            }
            _ => {
                let units = ["MILLISECONDS", "SECONDS", "MINUTES", "HOURS", "DAYS"];
                Err(self.unexpected().near(self.slice(span), units))
            }
        }
    }

    /// A constant, if one is next.
    fn literal(&mut self) -> Result<Option<Literal>> {
        if self.peek() == Token::Minus
            && matches!(self.peek_at(1), Token::Integer | Token::Decimal | Token::Float)
        {
            let sign = self.bump();
            return self.number(sign).map(Some);
        }
        Ok(Some(match self.peek() {
            Token::Integer | Token::Decimal | Token::Float => {
                let span = self.span();
                return self.number(span).map(Some);
            }
            Token::String => Literal::String(self.string()?),
            Token::Word if self.is_word("NULL") => {
                self.bump();
                Literal::Null
            }
            Token::Word if self.is_word("TRUE") || self.is_word("FALSE") => {
                let value = self.is_word("TRUE");
                self.bump();
                Literal::Boolean(value)
            }
            _ => return Ok(None),
        }))
    }

    /// The number that is next, with the sign that stands at `start`, if one does.
    fn number(&mut self, start: Span) -> Result<Literal> {
        let digits = self.bump();
        let sign = if self.slice(start) == "-" { "-" } else { "" };
        let text = format!("{sign}{}", self.slice(digits));
        Literal::number(&text).ok_or_else(|| {
            SqlError::new(start.to(digits), "this number is out of the range of DOUBLE")
        })
    }

    fn type_name(&mut self) -> Result<TypeName> {
        let mut ty = self.nested(Self::type_without_suffix)?;
        // KSQL also writes ARRAY<T> as T ARRAY
        let mut suffixes = 0;
        while self.is_word("ARRAY") {
            self.bump();
            suffixes += 1;
            if suffixes > MAX_DEPTH {
                return Err(SqlError::new(
                    self.last_span(),
                    format!("nested more than {MAX_DEPTH} levels deep"),
                ));
            }
            ty = TypeName::Array(Box::new(ty));
        }
        Ok(ty)
    }

    fn type_without_suffix(&mut self) -> Result<TypeName> {
        self.note("a type");
        if self.peek() == Token::Word && self.peek_at(1) == Token::Less {
            let word = self.slice(self.span()).to_uppercase();
            if is_constructor(&word) {
                self.bump();
                self.bump();
                let ty = match &word[..] {
                    "ARRAY" => TypeName::Array(Box::new(self.type_name()?)),
                    "MAP" => {
                        let key = self.type_name()?;
                        self.expect(Token::Comma)?;
                        TypeName::Map(Box::new(key), Box::new(self.type_name()?))
                    }
                    _ if self.at(Token::Greater) => TypeName::Struct(Vec::new()),
                    _ => TypeName::Struct(self.commas(|p| Ok((p.ident()?, p.type_name()?)))?),
                };
                self.expect(Token::Greater)?;
                return Ok(ty);
            }
        }
        // `STRUCT<>` is one token too many for the lexer
        if self.is_word("STRUCT") && self.peek_at(1) == Token::NotEqual {
            self.bump();
            self.bump();
            return Ok(TypeName::Struct(Vec::new()));
        }
        let name = self.ident()?;
        let params = if self.at(Token::Open) {
            self.parenthesised(|p| {
                // KSQL lets VARCHAR(STRING) stand for VARCHAR
                if p.is_word("STRING") {
                    p.bump();
                    return Ok(None);
                }
                let number = p.integer()?;
                u32::try_from(number)
                    .map(Some)
                    .map_err(|_| SqlError::new(p.last_span(), "this number is too large"))
            })?
            .into_iter()
            .flatten()
            .collect()
        } else {
            Vec::new()
        };
        Ok(TypeName::Named(name, params))
    }
}
