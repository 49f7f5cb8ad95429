//! From definitions to policies that can be evaluated.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::apply::Changes;
use crate::aspath::{AsPathError, AsPathTest};
use crate::chain::{Chain, Check, Policy, Statement, Test};
use crate::def::{Assigned, Definitions, Match, Named, NeighborSet, PolicyDef, SetKind, StatementDef};
use crate::looks::Looks;
use crate::peer::{Context, Peer};
use crate::sets::{AsSet, CommunityTest, PrefixSet, Range};

/// All policies of a configuration, compiled. What several refer to is there once.
#[derive(Debug, Default)]
pub struct Policies {
    named: Vec<Arc<Policy>>,
    /// The places in `named`.
    names: HashMap<String, usize>,
    inline: Vec<Arc<Policy>>,
    neighbor_sets: Vec<NeighborSet>,
    memory: usize,
}

/// A mistake in the definitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{policy}{}: {wrong}", .statement.map_or_else(String::new, |n| format!(", statement {n}")))]
pub struct CompileError {
    /// The name of the policy, or of the set.
    pub policy: String,
    /// The number of the statement in it from 1.
    pub statement: Option<usize>,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It refers to something that is not there.
    #[error("there is no {0} {1:?}")]
    NoSuch(SetKind, String),
    /// The name is taken.
    #[error("there is another {0} of this name")]
    Twice(SetKind),
    /// A regular expression that is none.
    #[error("match_as_path {0:?}: {1}")]
    AsPath(String, AsPathError),
}

impl Policies {
    /// Compiles definitions.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn compile(definitions: &Definitions) -> Result<Policies, Vec<CompileError>> {
        let mut compiler = Compiler::new(definitions);
        let inline = definitions.inline.iter().map(|p| compiler.policy(p)).collect();
        let named = definitions.policies.iter().map(|p| compiler.policy(p)).collect();
        let mut names = HashMap::new();
        for (n, definition) in definitions.policies.iter().enumerate() {
            if names.insert(definition.name.clone(), n).is_some() {
                compiler.twice(&definition.name, SetKind::Policy);
            }
        }
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        let memory = compiler.memory();
        let neighbor_sets = definitions.neighbor_sets.iter().map(|s| s.value.clone()).collect();
        Ok(Policies { named, names, inline, neighbor_sets, memory })
    }

    /// The chain of these policies.
    ///
    /// # Errors
    /// The name of one that is not there.
    pub fn chain<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<Chain, CompileError> {
        let find = |name: &'n str| {
            let wrong = || Wrong::NoSuch(SetKind::Policy, name.to_owned());
            let error = || CompileError { policy: "chain".to_owned(), statement: None, wrong: wrong() };
            self.names.get(name).and_then(|n| self.named.get(*n)).cloned().ok_or_else(error)
        };
        names.into_iter().map(find).collect::<Result<Vec<_>, _>>().map(Chain::new)
    }

    /// What is assigned to a peer; `None` where nothing is.
    ///
    /// # Errors
    /// It names a policy that is not there.
    pub fn assigned(&self, assigned: &Assigned) -> Result<Option<Chain>, CompileError> {
        match assigned {
            Assigned::None => Ok(None),
            Assigned::Chain(names) => self.chain(names.iter().map(String::as_str)).map(Some),
            Assigned::Inline(n) => {
                let policy = usize::try_from(*n).ok().and_then(|n| self.inline.get(n));
                let wrong = || Wrong::NoSuch(SetKind::Policy, format!("inline {n}"));
                let error = || CompileError { policy: "inline".to_owned(), statement: None, wrong: wrong() };
                policy.map(|p| Some(Chain::new(vec![Arc::clone(p)]))).ok_or_else(error)
            }
        }
    }

    /// All of them: those with a name, then those written where they are used.
    pub fn all(&self) -> impl Iterator<Item = &Policy> {
        self.named.iter().chain(&self.inline).map(|p| &**p)
    }

    /// The neighbor sets that a peer is in; for chains of these policies only.
    pub fn context(&self, peer: &Peer) -> Context {
        Context::of(peer, &self.neighbor_sets)
    }

    /// Octets that sets and expressions take, about.
    pub fn memory(&self) -> usize {
        self.memory
    }
}

/// A hash of 128 bits; not against somebody who looks for two alike.
pub(crate) fn fingerprint(of: &impl Hash) -> [u64; 2] {
    [0_u8, 1].map(|salt| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        of.hash(&mut hasher);
        hasher.finish()
    })
}

/// What is compiled once for all who use it, and its fingerprint.
type Shared<T> = HashMap<String, (Arc<T>, [u64; 2])>;

struct Compiler<'d> {
    prefix_sets: Shared<PrefixSet>,
    as_sets: Shared<AsSet>,
    community_sets: Shared<CommunityTest>,
    /// By name, with their numbers.
    neighbor_sets: HashMap<&'d str, (usize, [u64; 2])>,
    expressions: HashMap<&'d str, Arc<AsPathTest>>,
    errors: Vec<CompileError>,
}

impl<'d> Compiler<'d> {
    fn new(d: &'d Definitions) -> Compiler<'d> {
        let mut errors = Vec::new();
        let prefix_sets = sets(&d.prefix_sets, SetKind::Prefixes, &mut errors, |s| s.iter().collect());
        let as_sets = sets(&d.as_sets, SetKind::Asns, &mut errors, |s| s.iter().copied().collect());
        let community_sets =
            sets(&d.community_sets, SetKind::Communities, &mut errors, |s| s.iter().collect());
        let numbers = sets(&d.neighbor_sets, SetKind::Neighbors, &mut errors, |_| ());
        let place = |(n, set): (usize, &'d Named<NeighborSet>)| {
            let print = numbers.get(&set.name).map_or([0; 2], |(_, print)| *print);
            (set.name.as_str(), (n, print))
        };
        let neighbor_sets = d.neighbor_sets.iter().enumerate().map(place).collect();
        Compiler { prefix_sets, as_sets, community_sets, neighbor_sets, expressions: HashMap::new(), errors }
    }

    fn twice(&mut self, name: &str, kind: SetKind) {
        let error = CompileError { policy: name.to_owned(), statement: None, wrong: Wrong::Twice(kind) };
        self.errors.push(error);
    }

    fn memory(&self) -> usize {
        self.prefix_sets.values().map(|(s, _)| s.memory()).sum::<usize>()
            + self.as_sets.values().map(|(s, _)| s.memory()).sum::<usize>()
            + self.community_sets.values().map(|(s, _)| s.memory()).sum::<usize>()
            + self.expressions.values().map(|e| e.memory()).sum::<usize>()
    }

    fn policy(&mut self, definition: &'d PolicyDef) -> Arc<Policy> {
        let mut prints = Vec::new();
        let mut statements = Vec::with_capacity(definition.statements.len());
        for (n, statement) in (1..).zip(&definition.statements) {
            let (compiled, sets) = self.statement(statement).unwrap_or_else(|wrong| {
                let policy = definition.name.clone();
                self.errors.push(CompileError { policy, statement: Some(n), wrong });
                (Statement::placeholder(statement), Vec::new())
            });
            let StatementDef { name, line: _, action, matches, changes } = statement;
            prints.push(fingerprint(&(name, action, matches, changes, sets)));
            statements.push(compiled);
        }
        let checks = statements.iter().flat_map(|s| &s.checks);
        Arc::new(Policy {
            name: definition.name.clone(),
            default_action: definition.default_action,
            looks: checks.fold(Looks::default(), |l, c| l.with(c.test.looks())),
            fingerprint: fingerprint(&(&definition.name, definition.default_action, prints)),
            statements: statements.into(),
        })
    }

    /// A statement, and the fingerprints of the sets that it uses.
    fn statement(&mut self, s: &'d StatementDef) -> Result<(Statement, Vec<[u64; 2]>), Wrong> {
        let mut sets = Vec::new();
        let mut checks = Vec::with_capacity(s.matches.len());
        for written in &s.matches {
            let test = self.test(written, &mut sets)?;
            checks.push(Check { written: written.clone(), test });
        }
        checks.sort_by_key(|c| c.test.cost());
        let statement = Statement {
            name: s.name.clone(),
            line: s.line,
            action: s.action,
            checks: checks.into(),
            changes: Changes::new(&s.changes),
            written: s.changes.clone().into(),
        };
        Ok((statement, sets))
    }

    fn test(&mut self, written: &'d Match, prints: &mut Vec<[u64; 2]>) -> Result<Test, Wrong> {
        Ok(match written {
            Match::Prefix(range) => Test::Prefix(Range::of(range)),
            Match::PrefixSet(name) => {
                Test::PrefixSet(find(&self.prefix_sets, SetKind::Prefixes, name, prints)?)
            }
            Match::OriginAsSet(name) => Test::OriginAs(find(&self.as_sets, SetKind::Asns, name, prints)?),
            Match::CommunitySet(name) => {
                Test::Communities(find(&self.community_sets, SetKind::Communities, name, prints)?)
            }
            Match::NeighborSet(name) => {
                let missing = || Wrong::NoSuch(SetKind::Neighbors, name.clone());
                let (number, print) = self.neighbor_sets.get(name.as_str()).ok_or_else(missing)?;
                prints.push(*print);
                Test::Neighbor(*number)
            }
            Match::Communities(patterns) => Test::Communities(Arc::new(patterns.iter().collect())),
            Match::AsPath(text) => Test::AsPath(self.expression(text)?),
            Match::RouteType(t) => Test::RouteType(*t),
            Match::AsPathLengthGe(n) => Test::PathLenGe(*n),
            Match::AsPathLengthLe(n) => Test::PathLenLe(*n),
            Match::LocalPrefGe(n) => Test::LocalPrefGe(*n),
            Match::LocalPrefLe(n) => Test::LocalPrefLe(*n),
            Match::MedGe(n) => Test::MedGe(*n),
            Match::MedLe(n) => Test::MedLe(*n),
            Match::NextHop(a) => Test::NextHop(*a),
            Match::Rpki(s) => Test::Rpki(*s),
            Match::Aspa(s) => Test::Aspa(*s),
        })
    }

    fn expression(&mut self, text: &'d str) -> Result<Arc<AsPathTest>, Wrong> {
        if let Some(known) = self.expressions.get(text) {
            return Ok(Arc::clone(known));
        }
        let test = AsPathTest::new(text).map_err(|e| Wrong::AsPath(text.to_owned(), e))?;
        let test = Arc::new(test);
        self.expressions.insert(text, Arc::clone(&test));
        Ok(test)
    }
}

impl Statement {
    /// In place of one that cannot be compiled, so that the rest can be looked at. Never evaluated.
    fn placeholder(s: &StatementDef) -> Statement {
        Statement {
            name: s.name.clone(),
            line: s.line,
            action: s.action,
            checks: Box::default(),
            changes: Changes::default(),
            written: Box::default(),
        }
    }
}

fn sets<D: Hash, T>(
    defined: &[Named<D>],
    kind: SetKind,
    errors: &mut Vec<CompileError>,
    compile: impl Fn(&D) -> T,
) -> Shared<T> {
    let mut compiled = HashMap::new();
    for set in defined {
        let entry = (Arc::new(compile(&set.value)), fingerprint(&set.value));
        if compiled.insert(set.name.clone(), entry).is_some() {
            errors.push(CompileError {
                policy: set.name.clone(),
                statement: None,
                wrong: Wrong::Twice(kind),
            });
        }
    }
    compiled
}

fn find<T>(sets: &Shared<T>, kind: SetKind, name: &str, prints: &mut Vec<[u64; 2]>) -> Result<Arc<T>, Wrong> {
    let (set, print) = sets.get(name).ok_or_else(|| Wrong::NoSuch(kind, name.to_owned()))?;
    prints.push(*print);
    Ok(Arc::clone(set))
}
