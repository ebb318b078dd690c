//! Expressions, by precedence climbing over [`Level`]s.

use super::{Parser, Result};
use crate::sql::ast::{BinaryOp, Expr, ExprKind, Ident, Level, Literal, MAX_HEIGHT, UnaryOp};
use crate::sql::error::{Span, SqlError};
use crate::sql::token::Token;

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.expr_at(Level::Or)
    }

    fn expr_at(&mut self, least: Level) -> Result<Expr> {
        self.nested(|p| {
            let operand = p.prefix(least)?;
            p.infix(operand, least)
        })
    }

    /// An expression from `start` to the last token.
    fn node(&self, start: Span, kind: ExprKind) -> Result<Expr> {
        let expr = Expr::new(kind, start.to(self.last_span()));
        if expr.height() > MAX_HEIGHT {
            return Err(SqlError::new(
                expr.span,
                format!("this expression has more than {MAX_HEIGHT} levels"),
            ));
        }
        Ok(expr)
    }

    fn prefix(&mut self, least: Level) -> Result<Expr> {
        self.note("an expression");
        let start = self.span();
        if least <= Level::Not && self.is_word("NOT") {
            self.bump();
            let operand = Box::new(self.expr_at(Level::Not)?);
            return self.node(start, ExprKind::Unary { op: UnaryOp::Not, operand });
        }
        let op = match self.peek() {
            Token::Minus => UnaryOp::Minus,
            Token::Plus => UnaryOp::Plus,
            _ => return self.primary(),
        };
        self.bump();
        let bare_number = matches!(self.peek(), Token::Integer | Token::Decimal | Token::Float);
        let digits = self.span();
        let operand = self.expr_at(Level::Sign)?;
        if op == UnaryOp::Minus
            && bare_number
            && let ExprKind::Literal(_) = operand.kind
        {
            let text = format!("-{}", self.slice(digits));
            let literal =
                Literal::number(&text).expect("a number in range stays in range with a sign");
            return self.node(start, ExprKind::Literal(literal));
        }
        self.node(start, ExprKind::Unary { op, operand: Box::new(operand) })
    }

    /// Takes operators after `left` while they bind at least as tightly as `least`.
    fn infix(&mut self, mut left: Expr, least: Level) -> Result<Expr> {
        let mut compared = false;
        loop {
            let start = left.span;
            let kind = match self.infix_level() {
                Some(level) if level >= least && !(compared && level == Level::Predicate) => {
                    match level {
                        Level::Or => ExprKind::Or(self.chain(left, "OR", Level::And)?),
                        Level::And => ExprKind::And(self.chain(left, "AND", Level::Not)?),
                        Level::Predicate => {
                            compared = true;
                            self.predicate(left)?
                        }
                        Level::Zone => {
                            for word in ["AT", "TIME", "ZONE"] {
                                self.expect_word(word)?;
                            }
                            ExprKind::AtTimeZone { operand: Box::new(left), zone: self.string()? }
                        }
                        Level::Postfix => self.postfix(left)?,
                        _ => {
                            let op = self.binary_op().expect("infix_level saw it");
                            self.bump();
                            ExprKind::Binary {
                                op,
                                left: Box::new(left),
                                right: Box::new(self.expr_at(level.tighter())?),
                            }
                        }
                    }
                }
                _ => {
                    self.note("an operator");
                    return Ok(left);
                }
            };
            left = self.node(start, kind)?;
        }
    }

    fn infix_level(&self) -> Option<Level> {
        if let Some(op) = self.binary_op() {
            return Some(op.level());
        }
        match self.peek() {
            Token::OpenBracket => Some(Level::Postfix),
            // `struct->*` is an item of a projection, not an expression
            Token::Arrow if self.peek_at(1) != Token::Star => Some(Level::Postfix),
            Token::Word if self.is_word("OR") => Some(Level::Or),
            Token::Word if self.is_word("AND") => Some(Level::And),
            Token::Word if self.is_word("AT") && self.is_word_at(1, "TIME") => Some(Level::Zone),
            Token::Word
                if ["NOT", "BETWEEN", "IN", "LIKE", "IS"].iter().any(|word| self.is_word(word)) =>
            {
                Some(Level::Predicate)
            }
            _ => None,
        }
    }

    fn binary_op(&self) -> Option<BinaryOp> {
        Some(match self.peek() {
            Token::Plus => BinaryOp::Add,
            Token::Minus => BinaryOp::Subtract,
            Token::Star => BinaryOp::Multiply,
            Token::Slash => BinaryOp::Divide,
            Token::Percent => BinaryOp::Modulo,
            Token::Concat => BinaryOp::Concat,
            Token::Equal => BinaryOp::Equal,
            Token::NotEqual => BinaryOp::NotEqual,
            Token::Less => BinaryOp::Less,
            Token::LessEqual => BinaryOp::LessEqual,
            Token::Greater => BinaryOp::Greater,
            Token::GreaterEqual => BinaryOp::GreaterEqual,
            _ => return None,
        })
    }

    fn chain(&mut self, first: Expr, word: &str, operands: Level) -> Result<Vec<Expr>> {
        let mut items = vec![first];
        while self.is_word(word) {
            self.bump();
            items.push(self.expr_at(operands)?);
        }
        Ok(items)
    }

    fn predicate(&mut self, left: Expr) -> Result<ExprKind> {
        let operand = Box::new(left);
        if let Some(op) = self.binary_op() {
            self.bump();
            return Ok(ExprKind::Binary {
                op,
                left: operand,
                right: Box::new(self.expr_at(Level::Concat)?),
            });
        }
        if self.is_word("IS") {
            self.bump();
            let negated = self.eat_word("NOT");
            if self.eat_word("NULL") {
                return Ok(ExprKind::IsNull { operand, negated });
            }
            self.expect_word("DISTINCT")?;
            self.expect_word("FROM")?;
            let op = if negated { BinaryOp::NotDistinct } else { BinaryOp::Distinct };
            return Ok(ExprKind::Binary {
                op,
                left: operand,
                right: Box::new(self.expr_at(Level::Concat)?),
            });
        }
        let negated = self.eat_word("NOT");
        if self.eat_word("BETWEEN") {
            let low = Box::new(self.expr_at(Level::Concat)?);
            self.expect_word("AND")?;
            let high = Box::new(self.expr_at(Level::Concat)?);
            return Ok(ExprKind::Between { operand, low, high, negated });
        }
        if self.eat_word("IN") {
            return Ok(ExprKind::In { operand, items: self.parenthesised(Self::expr)?, negated });
        }
        self.expect_word("LIKE")?;
        let pattern = Box::new(self.expr_at(Level::Concat)?);
        let escape = if self.eat_word("ESCAPE") {
            let text = self.string()?;
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(escape), None) => Some(escape),
                _ => {
                    return Err(SqlError::new(
                        self.last_span(),
                        "ESCAPE takes exactly one character",
                    ));
                }
            }
        } else {
            None
        };
        Ok(ExprKind::Like { operand, pattern, escape, negated })
    }

    fn postfix(&mut self, base: Expr) -> Result<ExprKind> {
        let base = Box::new(base);
        if self.eat(Token::Arrow) {
            return Ok(ExprKind::Field { base, name: self.ident()? });
        }
        self.expect(Token::OpenBracket)?;
        let index = Box::new(self.expr()?);
        self.expect(Token::CloseBracket)?;
        Ok(ExprKind::Index { base, index })
    }

    fn primary(&mut self) -> Result<Expr> {
        let start = self.span();
        if let Some(literal) = self.literal()? {
            return self.node(start, ExprKind::Literal(literal));
        }
        if self.peek() == Token::Open {
            self.bump();
            let inner = self.expr()?;
            self.expect(Token::Close)?;
            return Ok(inner);
        }
        let kind = match self.peek() {
            Token::Word if self.is_word("CASE") => self.case()?,
            Token::Word if self.is_word("CAST") => self.cast()?,
            Token::Word if self.is_word("ARRAY") && self.peek_at(1) == Token::OpenBracket => {
                self.bump();
                self.bump();
                let items = if self.at(Token::CloseBracket) {
                    Vec::new()
                } else {
                    self.commas(Self::expr)?
                };
                self.expect(Token::CloseBracket)?;
                ExprKind::Array(items)
            }
            Token::Word if self.is_word("MAP") && self.peek_at(1) == Token::Open => {
                ExprKind::Map(self.constructor(Self::expr)?)
            }
            Token::Word if self.is_word("STRUCT") && self.peek_at(1) == Token::Open => {
                ExprKind::Struct(self.constructor(Self::ident)?)
            }
            _ if self.is_ident_at(0) => self.named()?,
            _ => return Err(self.unexpected()),
        };
        self.node(start, kind)
    }

    /// `MAP(k := v, …)` and `STRUCT(name := v, …)`
    fn constructor<K>(
        &mut self,
        mut key: impl FnMut(&mut Self) -> Result<K>,
    ) -> Result<Vec<(K, Expr)>> {
        self.bump();
        self.bump();
        if self.eat(Token::Close) {
            return Ok(Vec::new());
        }
        let entries = self.commas(|p| {
            let key = key(p)?;
            p.expect(Token::Assign)?;
            Ok((key, p.expr()?))
        })?;
        self.expect(Token::Close)?;
        Ok(entries)
    }

    fn case(&mut self) -> Result<ExprKind> {
        self.bump();
        let operand = if self.at_word("WHEN") { None } else { Some(Box::new(self.expr()?)) };
        let mut whens = Vec::new();
        while whens.is_empty() || self.at_word("WHEN") {
            self.expect_word("WHEN")?;
            let condition = self.expr()?;
            self.expect_word("THEN")?;
            whens.push((condition, self.expr()?));
        }
        let otherwise = if self.eat_word("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        self.expect_word("END")?;
        Ok(ExprKind::Case { operand, whens, otherwise })
    }

    fn cast(&mut self) -> Result<ExprKind> {
        self.bump();
        self.expect(Token::Open)?;
        let operand = Box::new(self.expr()?);
        self.expect_word("AS")?;
        let ty = self.type_name()?;
        self.expect(Token::Close)?;
        Ok(ExprKind::Cast { operand, ty })
    }

    /// A column, a call, or a constant with its type's name.
    fn named(&mut self) -> Result<ExprKind> {
        let name = self.ident()?;
        match self.peek() {
            Token::Open => {
                self.bump();
                self.call(name)
            }
            Token::Dot if self.peek_at(1) != Token::Star => {
                self.bump();
                Ok(ExprKind::Column { source: Some(name), name: self.ident()? })
            }
            Token::String => Ok(ExprKind::Typed { ty: name, text: self.string()? }),
            _ => Ok(ExprKind::Column { source: None, name }),
        }
    }

    fn call(&mut self, name: Ident) -> Result<ExprKind> {
        if self.peek() == Token::Star {
            let star = self.bump();
            if name.name != "COUNT" {
                return Err(SqlError::new(star, format!("only COUNT takes `*`, not {name}")));
            }
            self.expect(Token::Close)?;
            return Ok(ExprKind::Call { name, args: Vec::new() });
        }
        if self.eat(Token::Close) {
            return Ok(ExprKind::Call { name, args: Vec::new() });
        }
        let args = self.commas(Self::argument)?;
        self.expect(Token::Close)?;
        Ok(ExprKind::Call { name, args })
    }

    fn argument(&mut self) -> Result<Expr> {
        let start = self.span();
        let params = if self.is_ident_at(0) && self.peek_at(1) == Token::FatArrow {
            vec![self.ident()?]
        } else if self.peek() == Token::Open && self.is_parameter_list() {
            self.parenthesised(Self::ident)?
        } else {
            return self.expr();
        };
        self.expect(Token::FatArrow)?;
        let body = Box::new(self.expr()?);
        self.node(start, ExprKind::Lambda { params, body })
    }

    /// Is `(name, name, …) =>` next?
    fn is_parameter_list(&self) -> bool {
        let mut ahead = 1;
        while self.is_ident_at(ahead) && self.peek_at(ahead + 1) == Token::Comma {
            ahead += 2;
        }
        self.is_ident_at(ahead)
            && self.peek_at(ahead + 1) == Token::Close
            && self.peek_at(ahead + 2) == Token::FatArrow
    }
}
