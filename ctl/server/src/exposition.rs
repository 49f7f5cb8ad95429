//! Families of metrics, put together for each scrape and written in the text format that Prometheus reads.

use prometheus::TextEncoder;
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
}

#[cfg(test)]
impl Kind {
    /// As the format names it, for the document.
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

/// The families of a scrape.
#[derive(Debug, Default)]
pub(crate) struct Text(Vec<MetricFamily>);

impl Text {
    /// Begins a metric; its samples follow. One without samples has no place in the text.
    pub(crate) fn metric(&mut self, metric: &'static Metric) -> Samples<'_> {
        Samples { families: &mut self.0, metric, begun: false }
    }

    /// The whole text.
    pub(crate) fn finish(self) -> String {
        match TextEncoder::new().encode_to_string(&self.0) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                String::new()
            }
        }
    }
}

/// The samples of a metric.
#[derive(Debug)]
pub(crate) struct Samples<'a> {
    families: &'a mut Vec<MetricFamily>,
    metric: &'static Metric,
    begun: bool,
}

/// What a sample may be: the format's numbers are floats, exact up to 2^53.
pub(crate) trait Value {
    /// As the format has it.
    fn number(self) -> f64;
}

impl Value for f64 {
    fn number(self) -> f64 {
        self
    }
}

impl Value for u8 {
    fn number(self) -> f64 {
        self.into()
    }
}

impl Value for u32 {
    fn number(self) -> f64 {
        self.into()
    }
}

impl Value for u64 {
    #[expect(clippy::cast_precision_loss, reason = "the format's numbers are floats")]
    fn number(self) -> f64 {
        self as f64
    }
}

impl Samples<'_> {
    /// A sample, with the values of all labels of the metric in their order.
    pub(crate) fn sample(&mut self, labels: &[&str], value: impl Value) -> &mut Self {
        debug_assert_eq!(labels.len(), self.metric.labels.len(), "labels of {}", self.metric.name);
        if !std::mem::replace(&mut self.begun, true) {
            let mut family = MetricFamily::default();
            family.set_name(self.metric.name.to_owned());
            family.set_help(self.metric.help.to_owned());
            family.set_field_type(match self.metric.kind {
                Kind::Counter => MetricType::COUNTER,
                Kind::Gauge => MetricType::GAUGE,
            });
            self.families.push(family);
        }
        let pair = |(name, text): (&&str, &&str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*text).to_owned());
            pair
        };
        let mut sample = proto::Metric::from_label(self.metric.labels.iter().zip(labels).map(pair).collect());
        match self.metric.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value.number());
                sample.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value.number());
                sample.set_gauge(gauge);
            }
        }
        if let Some(family) = self.families.last_mut() {
            family.mut_metric().push(sample);
        }
        self
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
        text.metric(&A).sample(&["10.0.0.1", "y"], 1_u64).sample(&["10.0.0.1", "a\"b\\c\n"], 2_u64);
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
