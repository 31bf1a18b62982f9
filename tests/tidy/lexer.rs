//! Splits Rust text into the few kinds of tokens that the rules look at.
//!
//! Comments are dropped, literals are kept apart from code, so no rule matches a word inside a text.
//! Knows raw and byte strings, nested comments, and lifetimes beside character literals.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or keyword.
    Word,
    /// One punctuation character, or `::`.
    Mark,
    /// The inside of a string literal.
    Text,
    /// Numbers, character literals and lifetimes.
    Other,
}

/// A token and the line, from one, on which it begins.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    /// Whether this is the given name, keyword or punctuation.
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Mark) && self.text == text
    }
}

/// All tokens of a file.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0, line: 1, tokens: Vec::new() };
    while lexer.at < lexer.chars.len() {
        lexer.step();
    }
    lexer.tokens
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer {
    fn step(&mut self) {
        let line = self.line;
        let (kind, text) = match self.peek(0) {
            '/' if self.peek(1) == '/' => return self.skip_line(),
            '/' if self.peek(1) == '*' => return self.skip_block(),
            '"' => (Kind::Text, self.string()),
            '\'' => (Kind::Other, self.quote()),
            c if c.is_whitespace() => {
                self.bump();
                return;
            }
            c if c.is_ascii_digit() => (Kind::Other, self.while_word()),
            c if c.is_alphabetic() || c == '_' => self.word(),
            ':' if self.peek(1) == ':' => {
                self.bump();
                self.bump();
                (Kind::Mark, "::".to_owned())
            }
            _ => (Kind::Mark, self.bump().to_string()),
        };
        self.tokens.push(Token { kind, text, line });
    }

    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn bump(&mut self) -> char {
        let c = self.peek(0);
        self.at += 1;
        self.line += usize::from(c == '\n');
        c
    }

    fn skip_line(&mut self) {
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            self.bump();
        }
    }

    fn skip_block(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            let pair = (self.peek(0), self.peek(1));
            self.bump();
            if matches!(pair, ('/', '*') | ('*', '/')) {
                self.bump();
                depth += if pair.0 == '/' { 1 } else { -1 };
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn while_word(&mut self) -> String {
        let mut word = String::new();
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            word.push(self.bump());
        }
        word
    }

    /// A name, or the prefix of a string literal: `r"`, `b"`, `c"`, `br#"` and their like.
    fn word(&mut self) -> (Kind, String) {
        let word = self.while_word();
        if matches!(word.as_str(), "r" | "br" | "cr") {
            let hashes = (0..).take_while(|ahead| self.peek(*ahead) == '#').count();
            if self.peek(hashes) == '"' {
                return (Kind::Text, self.raw_string(hashes));
            }
        }
        match (word.as_str(), self.peek(0)) {
            ("b" | "c", '"') => (Kind::Text, self.string()),
            ("b", '\'') => (Kind::Other, self.quote()),
            _ => (Kind::Word, word),
        }
    }

    fn string(&mut self) -> String {
        self.bump();
        let mut text = String::new();
        while self.at < self.chars.len() && self.peek(0) != '"' {
            if self.peek(0) == '\\' {
                text.push(self.bump());
            }
            text.push(self.bump());
        }
        self.bump();
        text
    }

    fn raw_string(&mut self, hashes: usize) -> String {
        let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
        for _ in 0..=hashes {
            self.bump();
        }
        let mut text = String::new();
        while self.at < self.chars.len() && !self.chars[self.at..].starts_with(&end) {
            text.push(self.bump());
        }
        for _ in 0..=hashes {
            self.bump();
        }
        text
    }

    /// A character literal or, without a closing quote behind one character, a lifetime.
    fn quote(&mut self) -> String {
        self.bump();
        if self.peek(0) == '\\' {
            self.bump();
            self.bump();
            while self.at < self.chars.len() && self.peek(0) != '\'' {
                self.bump();
            }
            self.bump();
        } else if self.peek(1) == '\'' {
            self.bump();
            self.bump();
        } else {
            return self.while_word();
        }
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).into_iter().filter(|token| token.kind == Kind::Word).map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_literals_hide_their_words() {
        let text =
            "a // b\n/* c /* d */ e */ f \"g \\\" h\" i r#\"j \" k\"# l b'm' '\\'' 'n' 'o: p b\"q\" r#fn";
        assert_eq!(words(text), ["a", "f", "i", "l", "p", "r", "fn"]);
    }

    #[test]
    fn lines_are_counted_inside_literals_and_comments() {
        let found = tokens("\"one\ntwo\" /* three\n */ four");
        assert_eq!(found.last().map(|token| token.line), Some(3));
    }
}
