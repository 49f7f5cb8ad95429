//! What is wrong with a configuration file, printed like a compiler does: the line, a marker under the
//! value, the rule.

use std::fmt;
use std::io::IsTerminal;
use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::mask::{Excerpt, Mask};

/// One thing that is wrong, by its place in the file's text.
#[derive(Debug)]
pub(super) struct Problem {
    /// What is wrong, with the value.
    pub message: String,
    /// The rule, to stand beside the marker.
    pub label: String,
    /// Where.
    pub span: Range<usize>,
    /// Another place that belongs to it.
    pub note: Option<(String, Range<usize>)>,
    /// What may have been meant.
    pub help: Option<String>,
    /// The key whose value it is about, and that value; nothing of a secret.
    pub field: Option<(String, String)>,
}

/// Everything that is wrong with one file. Holds and shows no secret of it.
#[derive(Debug)]
pub(crate) struct Diagnostics {
    list: Vec<Diagnostic>,
}

/// A [`Problem`] with the lines that it shows.
#[derive(Debug)]
struct Diagnostic {
    message: String,
    label: String,
    place: Option<(String, Excerpt)>,
    note: Option<(String, (String, Excerpt))>,
    help: Option<String>,
    field: Option<(String, String)>,
    /// Where it begins in the text.
    start: Option<usize>,
}

/// The files that a text was put together from: where each begins, and what it is called.
#[derive(Debug)]
pub(super) struct Places(Vec<(usize, String)>);

impl Places {
    /// One file.
    pub(super) fn one(path: &Path) -> Places {
        Places(vec![(0, path.display().to_string())])
    }

    /// And one behind it, from `start` on.
    pub(super) fn add(&mut self, start: usize, path: &Path) {
        self.0.push((start, path.display().to_string()));
    }

    /// Where the files begin.
    pub(super) fn starts(&self) -> Vec<usize> {
        self.0.iter().map(|(start, _)| *start).collect()
    }

    /// The file that `span` is in, and its lines there.
    fn excerpt(&self, mask: &Mask, source: &str, span: Range<usize>) -> (String, Excerpt) {
        let place = self.0.iter().rev().find(|(start, _)| *start <= span.start);
        let (start, path) = place.cloned().unwrap_or_default();
        let before = source.get(..start).unwrap_or_default().matches('\n').count();
        let excerpt = mask.excerpt(source, span);
        (path, Excerpt { line: excerpt.line - before.min(excerpt.line - 1), ..excerpt })
    }
}

impl Diagnostics {
    /// The file as a whole cannot be used.
    pub(super) fn whole_file(message: String) -> Diagnostics {
        let one = Diagnostic {
            message,
            label: String::new(),
            place: None,
            note: None,
            help: None,
            field: None,
            start: None,
        };
        Diagnostics { list: vec![one] }
    }

    /// All of several files; `None` where there are none.
    pub(super) fn all(lists: Vec<Diagnostics>) -> Option<Diagnostics> {
        let list: Vec<Diagnostic> = lists.into_iter().flat_map(|d| d.list).collect();
        (!list.is_empty()).then_some(Diagnostics { list })
    }

    /// These problems of the files with this text, in the order of the text.
    pub(super) fn new(places: &Places, source: &str, mask: &Mask, mut problems: Vec<Problem>) -> Diagnostics {
        problems.sort_by_key(|p| p.span.start);
        let list = problems.into_iter().map(|p| Diagnostic {
            message: p.message,
            label: p.label,
            start: Some(p.span.start),
            place: Some(places.excerpt(mask, source, p.span)),
            note: p.note.map(|(text, span)| (text, places.excerpt(mask, source, span))),
            help: p.help,
            field: p.field,
        });
        Diagnostics { list: list.collect() }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// The first one, for who has not seen the file: a key with its value, where it is about one, and what is wrong. More
    /// than one are counted.
    pub(crate) fn first(&self) -> (&str, &str, String) {
        let Some(first) = self.list.first() else { return ("", "", String::new()) };
        let (field, value) = first.field.as_ref().map_or(("", ""), |(f, v)| (f, v));
        let help = first.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
        let more = match self.list.len() {
            0 | 1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        (field, value, format!("{}{help}{more}", first.message))
    }

    /// They, as they are printed at a start, without colours; those only that fit into about `most` octets.
    pub(crate) fn bounded(&self, most: usize) -> String {
        let mut text = String::new();
        for (n, diagnostic) in self.list.iter().enumerate() {
            let one = diagnostic.render(&Renderer::plain());
            if n > 0 && text.len() + one.len() > most {
                text.push_str(&format!("\n(and {} more)\n", self.list.len() - n));
                break;
            }
            text.push_str(if n > 0 { "\n" } else { "" });
            text.push_str(&one);
            text.push('\n');
        }
        text
    }

    /// Where the first one begins in the text.
    pub(crate) fn first_place(&self) -> Option<usize> {
        self.list.first()?.start
    }

    /// The text to print on standard error: in colour if that is a terminal and `NO_COLOR` is not set.
    pub(crate) fn for_stderr(&self) -> String {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        self.render(std::io::stderr().is_terminal() && !no_color)
    }

    fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let all: Vec<String> = self.list.iter().map(|d| d.render(&renderer)).collect();
        all.join("\n\n") + "\n"
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}

impl Diagnostic {
    fn render(&self, renderer: &Renderer) -> String {
        let title = Level::ERROR.primary_title(self.message.as_str());
        let Some((path, place)) = &self.place else {
            return renderer.render(&[Group::with_title(title)]);
        };
        let mut group = title.element(snippet(place, path, Some(&self.label)));
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let mut groups = vec![group];
        if let Some((text, (path, place))) = &self.note {
            groups.push(Level::NOTE.secondary_title(text.as_str()).element(snippet(place, path, None)));
        }
        renderer.render(&groups)
    }
}

fn snippet<'a>(
    excerpt: &'a Excerpt,
    path: &'a str,
    label: Option<&'a str>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let mut mark = AnnotationKind::Primary.span(excerpt.span.clone());
    if let Some(label) = label {
        mark = mark.label(label);
    }
    Snippet::source(excerpt.text.as_str()).line_start(excerpt.line).path(path).annotation(mark)
}
