//! Collects the settings of a file that have no effect in this version, for one warning.

/// How many neighbors or groups are named before the rest is only counted.
const NAMED: usize = 3;

/// Settings without an effect.
#[derive(Debug, Default)]
pub(super) struct Unused {
    groups: Vec<Group>,
}

/// The same key in tables of the same kind.
#[derive(Debug)]
struct Group {
    table: &'static str,
    key: &'static str,
    instances: Vec<String>,
    count: usize,
}

impl Unused {
    /// Adds a key of a table; `instance` tells apart tables of the same kind.
    pub(super) fn add(&mut self, table: &'static str, instance: Option<&str>, key: &'static str) {
        let at = self.groups.iter().position(|g| g.table == table && g.key == key);
        let group = match at.and_then(|at| self.groups.get_mut(at)) {
            Some(group) => group,
            None => {
                self.groups.push(Group { table, key, instances: Vec::new(), count: 0 });
                let Some(group) = self.groups.last_mut() else { return };
                group
            }
        };
        group.count += 1;
        if let (Some(instance), true) = (instance, group.instances.len() < NAMED) {
            group.instances.push(instance.to_owned());
        }
    }

    /// The warning, if there is anything to warn of.
    pub(super) fn warning(&self) -> Option<String> {
        if self.groups.is_empty() {
            return None;
        }
        let names: Vec<String> = self.groups.iter().map(Group::name).collect();
        Some(format!("these settings have no effect in this version: {}", names.join(", ")))
    }
}

impl Group {
    fn name(&self) -> String {
        let more = self.count.saturating_sub(self.instances.len());
        match (self.table, self.instances.as_slice()) {
            ("", _) => self.key.to_owned(),
            (table, []) => format!("{table}.{}", self.key),
            (table, named) if more > 0 => {
                format!("{table}[{} and {more} more].{}", named.join(", "), self.key)
            }
            (table, named) => format!("{table}[{}].{}", named.join(", "), self.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_one_kind_are_named_together_and_not_all_of_many() {
        let mut unused = Unused::default();
        assert_eq!(unused.warning(), None);
        unused.add("", None, "mrt");
        for n in 1..=9 {
            unused.add("neighbors", Some(&format!("10.0.0.{n}")), "key");
        }
        assert_eq!(
            unused.warning().as_deref(),
            Some(
                "these settings have no effect in this version: mrt, \
                 neighbors[10.0.0.1, 10.0.0.2, 10.0.0.3 and 6 more].key"
            )
        );
    }
}
