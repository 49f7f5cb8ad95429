//! Families of metrics, put together for each scrape and written in the text format that Prometheus reads.

use prometheus::TextEncoder;
use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};

/// What a family of metrics is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// The families of a scrape.
#[derive(Debug, Default)]
pub(crate) struct Text(Vec<Family>);

impl Text {
    /// Begins a family of metrics; its samples follow.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> &mut Family {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(match kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
        });
        self.0.push(Family { family, kind, samples: Vec::new() });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// The whole text. A family without samples has no place in it.
    pub(crate) fn finish(self) -> String {
        let families: Vec<MetricFamily> =
            self.0.into_iter().filter(|f| !f.samples.is_empty()).map(Family::finish).collect();
        match TextEncoder::new().encode_to_string(&families) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                String::new()
            }
        }
    }
}

/// A family of metrics being put together.
#[derive(Debug)]
pub(crate) struct Family {
    family: MetricFamily,
    kind: Kind,
    samples: Vec<Metric>,
}

impl Family {
    /// A sample.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: u64) -> &mut Self {
        // Exact up to 2^53, which is what Prometheus keeps.
        #[expect(clippy::cast_precision_loss, reason = "the format's numbers are floats")]
        let value = value as f64;
        let pair = |(name, text): &(&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*text).to_owned());
            pair
        };
        let mut metric = Metric::from_label(labels.iter().map(pair).collect());
        match self.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.samples.push(metric);
        self
    }

    fn finish(mut self) -> MetricFamily {
        self.family.set_metric(self.samples);
        self.family
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_prometheus_reads() {
        let mut text = Text::default();
        text.family("a_total", Kind::Counter, "How many.")
            .sample(&[], 1)
            .sample(&[("peer", "10.0.0.1"), ("x", "a\"b\\c\n")], 2);
        text.family("b", Kind::Gauge, "Now.").sample(&[], 1 << 40);
        text.family("c", Kind::Gauge, "Nobody.");
        assert_eq!(
            text.finish(),
            "# HELP a_total How many.\n# TYPE a_total counter\na_total 1\n\
             a_total{peer=\"10.0.0.1\",x=\"a\\\"b\\\\c\\n\"} 2\n\
             # HELP b Now.\n# TYPE b gauge\nb 1099511627776\n"
        );
    }
}
