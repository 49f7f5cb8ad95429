//! Whether an engine is at work: it is asked every now and then, and taken for hung where it does not answer. Pure: no
//! clock, no process.

use std::time::{Duration, Instant};

use crate::engine::ANSWER_WITHIN;

/// How often engines are asked where no service manager watches us.
const EVERY: Duration = Duration::from_secs(5);

/// How often to ask, and how long to wait for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rhythm {
    pub(crate) every: Duration,
    pub(crate) within: Duration,
}

impl Rhythm {
    /// With a service manager that ends us when it has not heard of us for as long as `watchdog`: a hung engine is
    /// found, killed, and started again before that.
    pub(crate) fn new(watchdog: Option<Duration>) -> Rhythm {
        let within = watchdog.map_or(ANSWER_WITHIN, |w| ANSWER_WITHIN.min(w / 3));
        Rhythm { every: EVERY.min(within / 2), within }
    }
}

/// The questions to one engine: one at a time, so that they never fill its queue.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    number: u32,
    /// Since when the last question waits for its answer.
    asked: Option<Instant>,
    answered: Option<Instant>,
}

impl Pulse {
    /// The number of the question to ask now; `None` while the last one is not answered.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<u32> {
        if self.asked.is_some() {
            return None;
        }
        self.asked = Some(now);
        self.number = self.number.wrapping_add(1);
        Some(self.number)
    }

    /// The engine has answered; `false`: it was not asked that.
    pub(crate) fn answer(&mut self, number: u32, now: Instant) -> bool {
        if number != self.number || self.asked.take().is_none() {
            return false;
        }
        self.answered = Some(now);
        true
    }

    /// When it has to be taken for hung.
    pub(crate) fn hung_at(&self, rhythm: Rhythm) -> Option<Instant> {
        self.asked.map(|at| at + rhythm.within)
    }

    /// Whether it has answered, and not too long ago.
    pub(crate) fn is_healthy(&self, rhythm: Rhythm, now: Instant) -> bool {
        self.answered.is_some_and(|at| now.saturating_duration_since(at) <= rhythm.every + rhythm.within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RHYTHM: Rhythm = Rhythm { every: Duration::from_secs(2), within: Duration::from_secs(4) };

    #[test]
    fn a_question_waits_for_its_answer_and_for_no_other() {
        let (mut pulse, now) = (Pulse::default(), Instant::now());
        assert!(!pulse.answer(0, now), "nobody has asked");
        let number = pulse.ask(now).unwrap();
        assert_eq!(pulse.ask(now), None);
        assert!(!pulse.answer(number + 1, now));
        assert!(pulse.answer(number, now));
        assert!(!pulse.answer(number, now), "only once");
        assert_eq!(pulse.ask(now), Some(number + 1));
    }

    #[test]
    fn silence_is_noticed() {
        let (mut pulse, start) = (Pulse::default(), Instant::now());
        assert_eq!(pulse.hung_at(RHYTHM), None);
        assert!(!pulse.is_healthy(RHYTHM, start), "it has said nothing yet");
        let number = pulse.ask(start).unwrap();
        assert_eq!(pulse.hung_at(RHYTHM), Some(start + RHYTHM.within));
        let later = start + Duration::from_secs(1);
        assert!(pulse.answer(number, later));
        assert_eq!(pulse.hung_at(RHYTHM), None);
        assert!(pulse.is_healthy(RHYTHM, later + Duration::from_secs(6)));
        assert!(!pulse.is_healthy(RHYTHM, later + Duration::from_secs(7)));
    }

    #[test]
    fn hung_engines_are_found_before_the_service_manager_finds_us() {
        for seconds in [1, 3, 15, 90, 600] {
            let watchdog = Duration::from_secs(seconds);
            let Rhythm { every, within } = Rhythm::new(Some(watchdog));
            assert!(every + within + every <= watchdog * 2 / 3, "{seconds}");
            assert!(!every.is_zero());
        }
        assert_eq!(Rhythm::new(None).within, ANSWER_WITHIN);
    }
}
