//! The log of every process: one line per event on stdout, JSON or text.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// An object with `timestamp`, `level`, `message`, `target` and the event's own fields beside them.
    #[default]
    Json,
    /// For people.
    Text,
}

impl LogFormat {
    /// The name that configuration and start contract use.
    pub fn name(self) -> &'static str {
        match self {
            LogFormat::Json => "json",
            LogFormat::Text => "text",
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(s: &str) -> Result<LogFormat, LogError> {
        match s {
            "json" => Ok(LogFormat::Json),
            "text" => Ok(LogFormat::Text),
            _ => Err(LogError::Format(s.to_owned())),
        }
    }
}

/// Why there is no log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// No such format.
    #[error("unknown log format {0:?}: must be json or text")]
    Format(String),
    /// No such level.
    #[error("unknown log level {0:?}: must be error, warn, info, debug or trace")]
    Level(String),
    /// A log was set up before.
    #[error("the log is already set up")]
    Twice,
}

/// Sends this process's events to stdout. `level` is a level name or a list of filter directives; the
/// environment variable `RUST_LOG` wins over it where it is set and makes sense.
///
/// # Errors
/// Where `level` makes no sense, or on a second call.
pub fn init_logging(format: LogFormat, level: &str) -> Result<(), LogError> {
    let from_environment = std::env::var("RUST_LOG").ok().filter(|v| !v.is_empty()).map(|v| bracketed(&v));
    let (filter, refused) = match from_environment.map(|v| (EnvFilter::try_new(&v), v)) {
        Some((Ok(filter), _)) => (filter, None),
        Some((Err(e), directives)) => (configured(level)?, Some((directives, e.to_string()))),
        None => (configured(level)?, None),
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_span_events(FmtSpan::NONE);
    let set = match format {
        LogFormat::Json => subscriber.json().flatten_event(true).with_span_list(false).try_init(),
        LogFormat::Text => subscriber.with_ansi(std::io::stdout().is_terminal()).try_init(),
    };
    set.map_err(|_| LogError::Twice)?;
    if let Some((directives, error)) = refused {
        tracing::warn!(directives, error, "RUST_LOG makes no sense, using the configured log level");
    }
    Ok(())
}

/// Puts the brackets around spans that the operations manual leaves out: `peer{peer_addr=10.0.0.1}=debug`.
fn bracketed(directives: &str) -> String {
    let parts: Vec<String> = (directives.split(','))
        .map(|part| match part.split_once('}') {
            Some((span, level)) if span.contains('{') && !span.contains('[') => {
                format!("[{}}}]{level}", span.trim_start())
            }
            _ => part.to_owned(),
        })
        .collect();
    parts.join(",")
}

fn configured(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(level).map_err(|_| LogError::Level(level.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_may_be_named_without_brackets() {
        for (written, meant) in [
            ("info,peer{peer_addr=10.0.0.1}=debug", "info,[peer{peer_addr=10.0.0.1}]=debug"),
            ("peer{peer_addr=2001:db8::1}=trace", "[peer{peer_addr=2001:db8::1}]=trace"),
            ("info,[peer{asn=65001}]=debug", "info,[peer{asn=65001}]=debug"),
            ("warn,rustbgpd_session=debug", "warn,rustbgpd_session=debug"),
        ] {
            assert_eq!(bracketed(written), meant);
            assert!(EnvFilter::try_new(bracketed(written)).is_ok(), "{written}");
        }
    }
}
