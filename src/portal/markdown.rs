//! Markdown of organisers as HTML for other people's browsers: GitHub's tables, task
//! lists and strikethrough; nothing that runs, styles, or is loaded from elsewhere.
//!
//! Two layers: pulldown-cmark writes HTML, and ammonia keeps of that only the tags
//! named here, because Markdown may hold HTML of its own.

use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

const TAGS: [&str; 28] = [
    "a",
    "blockquote",
    "br",
    "code",
    "dd",
    "del",
    "dl",
    "dt",
    "em",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "ul",
];
/// Of tables, besides: kept apart since without them a cell is lost.
const ROWS: [&str; 2] = ["thead", "tr"];

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::empty();
    cleaner
        .tags(TAGS.into_iter().chain(ROWS).collect())
        .clean_content_tags(["script", "style"].into())
        .add_tag_attributes("a", ["href", "title"])
        .add_tag_attributes("ol", ["start"])
        .url_schemes(["http", "https", "mailto"].into())
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener nofollow"));
    cleaner
});

/// HTML to stand as it is below a page's `h1`: headings are one level lower. Images
/// are links to them, so that opening a page tells nobody else of it.
pub fn to_html(markdown: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut images = Images::default();
    let events = Parser::new_ext(markdown, options).flat_map(|event| images.linked(lowered(event)));
    let mut raw = String::new();
    html::push_html(&mut raw, events);
    CLEANER.clean(&raw).to_string()
}

fn lowered(event: Event<'_>) -> Event<'_> {
    let lower = |level| match level {
        HeadingLevel::H1 => HeadingLevel::H2,
        HeadingLevel::H2 => HeadingLevel::H3,
        HeadingLevel::H3 => HeadingLevel::H4,
        HeadingLevel::H4 => HeadingLevel::H5,
        HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    };
    match event {
        Event::Start(Tag::Heading { level, id, classes, attrs }) => {
            Event::Start(Tag::Heading { level: lower(level), id, classes, attrs })
        }
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        Event::TaskListMarker(done) => Event::Text(if done { "☑ " } else { "☐ " }.into()),
        other => other,
    }
}

/// The image that is being read, if its text has not begun.
#[derive(Default)]
struct Images<'a> {
    unnamed: Option<CowStr<'a>>,
}

impl<'a> Images<'a> {
    /// An image as a link; one without a text is called by its address.
    fn linked(&mut self, event: Event<'a>) -> impl Iterator<Item = Event<'a>> + use<'a> {
        let (first, second) = match event {
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                self.unnamed = Some(dest_url.clone());
                (None, Event::Start(Tag::Link { link_type, dest_url, title, id }))
            }
            Event::End(TagEnd::Image) => {
                (self.unnamed.take().map(Event::Text), Event::End(TagEnd::Link))
            }
            other => {
                self.unnamed = None;
                (None, other)
            }
        };
        first.into_iter().chain([second])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use scraper::{Html, Selector};

    use super::*;

    /// Whether a browser finds nothing in it but the tags and attributes meant.
    fn is_harmless(html: &str) -> bool {
        let page = Html::parse_fragment(html);
        let all = Selector::parse("*").unwrap();
        page.select(&all).all(|found| {
            let name = found.value().name();
            let is_known = name == "html" || TAGS.contains(&name) || ROWS.contains(&name);
            let mut attributes = found.value().attrs();
            is_known
                && attributes.all(|(attribute, value)| match (name, attribute) {
                    ("a", "href") => ["http:", "https:", "mailto:"]
                        .iter()
                        .any(|scheme| value.to_lowercase().starts_with(scheme)),
                    ("a", "rel") => value == "noopener nofollow",
                    ("a", "title") | ("ol", "start") => true,
                    _ => false,
                })
        })
    }

    #[test]
    fn what_organisers_write_is_shown() {
        let html = to_html(
            "# Welcome\n\n| a | b |\n|---|--:|\n| 1 | ~~2~~ |\n\n- [x] key\n\n[site](https://example.org)",
        );
        for part in [
            "<h2>Welcome</h2>",
            "<th>b</th>",
            "<td><del>2</del></td>",
            "☑ key",
            "<a href=\"https://example.org\" rel=\"noopener nofollow\">site</a>",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(is_harmless(&html));
    }

    #[test]
    fn images_are_links_and_load_nothing() {
        let link = |text| {
            format!(
                "<p><a href=\"https://x.test/a.png\" rel=\"noopener nofollow\">{text}</a></p>\n"
            )
        };
        assert_eq!(to_html("![a *plan*](https://x.test/a.png)"), link("a <em>plan</em>"));
        assert_eq!(to_html("![](https://x.test/a.png)"), link("https://x.test/a.png"));
        assert!(!to_html("<img src=https://x.test/a.png>").contains("x.test"));
    }

    #[test]
    fn hostile_text_is_harmless() {
        for text in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<p style='background:url(//x.test)' onclick=alert(1) id=main>x</p>",
            "<style>@import '//x.test'</style>",
            "[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](data:text/html,x)",
            "[x](&#106;avascript:alert(1)) <java\tscript:alert(1)>",
            "[x](//x.test) [y](/admin/sign-out) ![z](javascript:alert(1))",
            "<svg><script>alert(1)</script><a xlink:href=javascript:alert(1)>x</a></svg>",
            "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
            "<iframe src=//x.test></iframe><object data=//x.test></object><embed src=//x.test>",
            "<form action=//x.test><input name=key><button formaction=//x.test>x</button></form>",
            "<base href=//x.test><meta http-equiv=refresh content='0;//x.test'><link rel=stylesheet href=//x.test>",
            "<video poster=//x.test src=//x.test></video><audio src=//x.test>",
            "| <img src=x onerror=alert(1)> |\n|---|\n| <b onmouseover=alert(1)>x</b> |",
            "```html\" onload=\"alert(1)\nx\n```",
            "# x {#main onclick=alert(1) .class}",
            "[x](https://x.test \"\" onclick=alert(1)\")",
            "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
            "</section></main><h1>Sign in again</h1>",
        ] {
            let html = to_html(text);
            assert!(is_harmless(&html), "{text}: {html}");
        }
    }

    #[test]
    fn text_may_be_nested_as_deep_as_it_likes() {
        for (piece, length) in
            [("> ", 4096), ("- ", 4096), ("**", 4096), ("[", 8192), ("<p>", 2730)]
        {
            assert!(is_harmless(&to_html(&piece.repeat(length))), "{piece}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_harmless(text in r#"([<>/"'=&;:\[\]()!|` \n-]|script|img|onerror|href|src|a|javascript:){0,60}"#) {
            let html = to_html(&text);
            prop_assert!(is_harmless(&html), "{}", html);
        }
    }
}
