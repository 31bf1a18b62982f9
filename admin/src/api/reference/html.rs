//! Markup, written as text: everything that comes from outside is escaped on its way in.

/// A page under construction.
pub(super) struct Html(String);

impl Html {
    /// A page with this title and stylesheet.
    pub(super) fn begin(title: &str, stylesheet: &str) -> Self {
        let mut html = Self("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">".to_owned());
        html.0.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        html.element("title", &format!("{title} API"));
        html.0.push_str("<link rel=\"stylesheet\" href=\"");
        html.text(stylesheet);
        html.0.push_str("\"></head><body>\n");
        html
    }

    /// The whole page.
    pub(super) fn end(mut self) -> String {
        self.0.push_str("</body></html>\n");
        self.0
    }

    /// Begins an element.
    pub(super) fn open(&mut self, name: &'static str) -> &mut Self {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        self
    }

    /// Ends one.
    pub(super) fn close(&mut self, name: &'static str) -> &mut Self {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push_str(">\n");
        self
    }

    /// Text, escaped.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// An element with nothing but text.
    pub(super) fn element(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.open(name).text(text).close(name)
    }

    /// A heading that links can lead to.
    pub(super) fn heading(&mut self, name: &'static str, id: &str, text: &str) -> &mut Self {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push_str(" id=\"");
        self.text(id);
        self.0.push_str("\">");
        self.text(text).close(name)
    }

    /// A link.
    pub(super) fn link(&mut self, to: &str, text: &str) -> &mut Self {
        self.0.push_str("<a href=\"");
        self.text(to);
        self.0.push_str("\">");
        self.text(text).close("a")
    }

    /// Begins a table; `</tbody></table>` ends it.
    pub(super) fn table(&mut self, head: &[&str]) -> &mut Self {
        self.open("table").open("thead").open("tr");
        for cell in head {
            self.element("th", cell);
        }
        self.close("tr").close("thead").open("tbody")
    }

    /// A row of a table.
    pub(super) fn row(&mut self, cells: &[&str]) -> &mut Self {
        self.open("tr");
        for cell in cells {
            self.element("td", cell);
        }
        self.close("tr")
    }
}

/// The id of a heading; only letters, digits and dashes, so that it needs no escapes in a link.
pub(super) fn anchor(kind: &str, name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{kind}-{}", name.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_document_says_stays_text() {
        let mut html = Html::begin("<b>", "\"><script>");
        html.element("p", "a < b & \"c\" 'd'").link("\"x", "<y>").heading("h2", "a\"b", "<z>");
        let page = html.end();
        assert!(!page.contains("<script>") && !page.contains("<y>") && !page.contains("<z>"), "{page}");
        assert!(page.contains("a &lt; b &amp; &quot;c&quot; &#39;d&#39;"), "{page}");
    }

    #[test]
    fn anchors_need_no_escapes() {
        assert_eq!(anchor("get", "/api/v1/w/{slug}"), "get-api-v1-w--slug");
    }
}
