//! Queries, clause by clause in KSQL's order: SELECT FROM WINDOW WHERE GROUP BY PARTITION BY HAVING EMIT LIMIT.

use super::{Parser, Result};
use crate::sql::ast::{
    Cte, Duration, Emit, Expr, Item, Join, JoinKind, Query, Relation, RelationKind, Select, Window,
    WindowKind, With, Within,
};
use crate::sql::token::Token;

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Result<Query> {
        self.nested(|p| {
            let with = if p.at_word("WITH") { Some(p.with()?) } else { None };
            let mut arms = vec![p.select()?];
            while p.eat_words(&["UNION", "ALL"])? {
                arms.push(p.select()?);
            }
            let emit = if !p.eat_word("EMIT") {
                None
            } else if p.eat_word("FINAL") {
                Some(Emit::Final)
            } else {
                p.expect_word("CHANGES")?;
                Some(Emit::Changes)
            };
            let limit = if p.eat_word("LIMIT") { Some(p.integer()?) } else { None };
            Ok(Query { with, arms, emit, limit })
        })
    }

    fn with(&mut self) -> Result<With> {
        self.bump();
        // a table expression may itself be called RECURSIVE
        let recursive = self.at_word("RECURSIVE") && self.is_ident_at(1);
        if recursive {
            self.bump();
        }
        let ctes = self.commas(|p| {
            let name = p.ident()?;
            let columns =
                if p.at(Token::Open) { p.parenthesised(Self::ident)? } else { Vec::new() };
            p.expect_word("AS")?;
            Ok(Cte { name, columns, query: p.subquery()? })
        })?;
        Ok(With { recursive, ctes })
    }

    fn subquery(&mut self) -> Result<Query> {
        self.expect(Token::Open)?;
        let query = self.query()?;
        self.expect(Token::Close)?;
        Ok(query)
    }

    fn select(&mut self) -> Result<Select> {
        let start = self.expect_word("SELECT")?;
        let distinct_on = if self.eat_words(&["DISTINCT", "ON"])? {
            Some(self.parenthesised(Self::expr)?)
        } else {
            None
        };
        let items = self.commas(Self::item)?;
        self.expect_word("FROM")?;
        let from = self.relation()?;
        let mut joins = Vec::new();
        while let Some(join) = self.join()? {
            joins.push(join);
        }
        let window = if self.at_word("WINDOW") { Some(self.window()?) } else { None };
        let filter = if self.eat_word("WHERE") { Some(self.expr()?) } else { None };
        let group_by = if self.eat_words(&["GROUP", "BY"])? { Some(self.keys()?) } else { None };
        let partition_by =
            if self.eat_words(&["PARTITION", "BY"])? { Some(self.keys()?) } else { None };
        let having = if self.eat_word("HAVING") { Some(self.expr()?) } else { None };
        let span = start.to(self.last_span());
        Ok(Select {
            span,
            distinct_on,
            items,
            from,
            joins,
            window,
            filter,
            group_by,
            partition_by,
            having,
        })
    }

    fn item(&mut self) -> Result<Item> {
        if self.at(Token::Star) {
            return Ok(Item::All(self.bump()));
        }
        if self.is_ident_at(0) && self.peek_at(1) == Token::Dot && self.peek_at(2) == Token::Star {
            let source = self.ident()?;
            self.bump();
            self.bump();
            return Ok(Item::AllOf(source));
        }
        let expr = self.expr()?;
        if self.peek() == Token::Arrow {
            self.bump();
            self.expect(Token::Star)?;
            return Ok(Item::Fields(expr));
        }
        let alias =
            if self.eat_word("AS") || self.is_ident_at(0) { Some(self.ident()?) } else { None };
        Ok(Item::Expr { expr, alias })
    }

    fn relation(&mut self) -> Result<Relation> {
        let start = self.span();
        let kind = if self.at(Token::Open) {
            RelationKind::Query(Box::new(self.subquery()?))
        } else {
            RelationKind::Named(self.ident()?)
        };
        // these two begin clauses, though KSQL lets them be names
        let retroactive = self.is_word("RETROACTIVE") && self.is_word_at(1, "WITHIN");
        let bare_alias = self.is_ident_at(0)
            && !self.is_word("EMIT")
            && !self.is_word("PARTITION")
            && !retroactive;
        let alias = if self.eat_word("AS") || bare_alias { Some(self.ident()?) } else { None };
        Ok(Relation { kind, alias, span: start.to(self.last_span()) })
    }

    fn join(&mut self) -> Result<Option<Join>> {
        let start = self.span();
        let kind = if self.eat_word("INNER") {
            JoinKind::Inner
        } else if let Some((_, kind)) =
            [("LEFT", JoinKind::Left), ("RIGHT", JoinKind::Right), ("FULL", JoinKind::Full)]
                .into_iter()
                .find(|(word, _)| self.eat_word(word))
        {
            self.eat_word("OUTER");
            kind
        } else if self.at_word("JOIN") {
            JoinKind::Inner
        } else {
            return Ok(None);
        };
        self.expect_word("JOIN")?;
        let relation = self.relation()?;
        let retroactive = self.at_word("RETROACTIVE");
        let within =
            if retroactive || self.at_word("WITHIN") { Some(self.within()?) } else { None };
        self.expect_word("ON")?;
        let on = self.expr()?;
        Ok(Some(Join { kind, relation, within, on, span: start.to(self.last_span()) }))
    }

    fn within(&mut self) -> Result<Within> {
        let start = self.span();
        let retroactive = self.eat_word("RETROACTIVE");
        self.expect_word("WITHIN")?;
        let (before, after) = if self.eat(Token::Open) {
            let before = self.duration()?;
            self.expect(Token::Comma)?;
            let after = self.duration()?;
            self.expect(Token::Close)?;
            (before, Some(after))
        } else {
            (self.duration()?, None)
        };
        let grace =
            if self.eat_words(&["GRACE", "PERIOD"])? { Some(self.duration()?) } else { None };
        Ok(Within { retroactive, before, after, grace, span: start.to(self.last_span()) })
    }

    fn window(&mut self) -> Result<Window> {
        let start = self.bump();
        let is_kind = ["TUMBLING", "HOPPING", "SESSION"].iter().any(|word| self.at_word(word));
        let name = if is_kind && self.peek_at(1) == Token::Open || !self.is_ident_at(0) {
            None
        } else {
            Some(self.ident()?)
        };
        let kind = if self.eat_word("TUMBLING") {
            self.expect(Token::Open)?;
            self.expect_word("SIZE")?;
            WindowKind::Tumbling(self.duration()?)
        } else if self.eat_word("HOPPING") {
            self.expect(Token::Open)?;
            self.expect_word("SIZE")?;
            let size = self.duration()?;
            self.expect(Token::Comma)?;
            self.expect_word("ADVANCE")?;
            self.expect_word("BY")?;
            WindowKind::Hopping(size, self.duration()?)
        } else {
            self.expect_word("SESSION")?;
            self.expect(Token::Open)?;
            WindowKind::Session(self.duration()?)
        };
        let (mut retention, mut grace): (Option<Duration>, Option<Duration>) = (None, None);
        while self.eat(Token::Comma) {
            if retention.is_none() && grace.is_none() && self.eat_word("RETENTION") {
                retention = Some(self.duration()?);
            } else if grace.is_none() {
                self.expect_word("GRACE")?;
                self.expect_word("PERIOD")?;
                grace = Some(self.duration()?);
            } else {
                return Err(self.unexpected());
            }
        }
        self.expect(Token::Close)?;
        Ok(Window { name, kind, retention, grace, span: start.to(self.last_span()) })
    }

    /// The columns of GROUP BY or PARTITION BY: a list, or a list in parentheses, which may be empty.
    fn keys(&mut self) -> Result<Vec<Expr>> {
        let start = self.at;
        if self.eat(Token::Open) {
            if self.eat(Token::Close) {
                return Ok(Vec::new());
            }
            if let Ok(keys) = self.commas(Self::expr)
                && self.eat(Token::Close)
                && (keys.len() > 1 || self.ends_clause())
            {
                return Ok(keys);
            }
            // `(a + b) * c, d`: the parenthesis belongs to the first column
            self.rewind(start);
        }
        self.commas(Self::expr)
    }

    fn ends_clause(&self) -> bool {
        matches!(self.peek(), Token::End | Token::Semicolon | Token::Close)
            || ["PARTITION", "HAVING", "EMIT", "LIMIT", "UNION"]
                .iter()
                .any(|word| self.is_word(word))
    }
}
