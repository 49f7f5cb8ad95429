//! The text format that Prometheus reads, written piece by piece.

use std::fmt::{Display, Write};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Kind {
    /// As the format names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }
}

/// The definition of a metric.
#[derive(Debug)]
pub(crate) struct Metric {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) kind: Kind,
    /// Its labels, in order.
    pub(crate) labels: &'static [&'static str],
    /// What it counts, one sentence.
    pub(crate) help: &'static str,
}

/// The text of a scrape.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    /// Begins a metric; its samples follow. One without samples has no place in the text.
    pub(crate) fn metric(&mut self, metric: &'static Metric) -> Samples<'_> {
        Samples { text: &mut self.0, metric, begun: false }
    }

    /// The whole text.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// The samples of a metric.
#[derive(Debug)]
pub(crate) struct Samples<'a> {
    text: &'a mut String,
    metric: &'static Metric,
    begun: bool,
}

impl Samples<'_> {
    /// A sample, with the values of all labels of the metric in their order.
    pub(crate) fn sample(&mut self, labels: &[&str], value: impl Display) -> &mut Self {
        debug_assert_eq!(labels.len(), self.metric.labels.len(), "labels of {}", self.metric.name);
        self.begin();
        self.text.push_str(self.metric.name);
        for (n, (name, label)) in self.metric.labels.iter().zip(labels).enumerate() {
            self.text.push(if n == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(self.text, label);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        // A String takes everything.
        let _ = writeln!(self.text, " {value}");
        self
    }

    fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            let Metric { name, kind, help, .. } = self.metric;
            let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        }
    }
}

fn escape(text: &mut String, label: &str) {
    for c in label.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static A: Metric =
        Metric { name: "a_total", kind: Kind::Counter, labels: &["peer", "x"], help: "How many." };
    static B: Metric = Metric { name: "b", kind: Kind::Gauge, labels: &[], help: "Now." };

    #[test]
    fn text_is_what_prometheus_reads() {
        let mut text = Text::default();
        text.metric(&A).sample(&["10.0.0.1", "y"], 1).sample(&["10.0.0.1", "a\"b\\c\n"], 2);
        text.metric(&A);
        text.metric(&B).sample(&[], 0.25);
        assert_eq!(
            text.finish(),
            "# HELP a_total How many.\n# TYPE a_total counter\na_total{peer=\"10.0.0.1\",x=\"y\"} 1\n\
             a_total{peer=\"10.0.0.1\",x=\"a\\\"b\\\\c\\n\"} 2\n\
             # HELP b Now.\n# TYPE b gauge\nb 0.25\n"
        );
    }
}
