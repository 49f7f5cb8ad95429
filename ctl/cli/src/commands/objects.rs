//! `policy`, `neighbor-set`, `prefix-set`, `as-set`, `community-set` and `peer-group`: what has a name in the configuration.

use std::path::Path;

use grpc::v1;
use grpc::v1::MatchSetKind;
use grpc::v1::peer_group_service_client::PeerGroupServiceClient;
use grpc::v1::policy_service_client::PolicyServiceClient;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{definition, policy_test};
use crate::args::{NamedAction, PolicyAction};
use crate::connect::{Connection, MAX_ANSWER};
use crate::error::CliError;
use crate::output::Out;
use crate::output::table::{Cell, Column, Row, Table};

type Policies = PolicyServiceClient<Connection>;
type Groups = PeerGroupServiceClient<Connection>;

fn policies(connection: Connection) -> Policies {
    Policies::new(connection).max_decoding_message_size(MAX_ANSWER)
}

/// `policy ..`.
pub(super) async fn policy(
    connection: Connection,
    action: Option<PolicyAction>,
    out: &mut Out,
) -> Result<(), CliError> {
    let mut client = policies(connection);
    let action = match action {
        Some(PolicyAction::Test) => return policy_test::run(&mut client, out).await,
        Some(PolicyAction::Named(action)) => action,
        None => NamedAction::List,
    };
    match action {
        NamedAction::List => {
            let all = client.list_policies(v1::ListPoliciesRequest {}).await?.into_inner().policies;
            let row = |p: v1::NamedPolicy| {
                let definition = p.definition.unwrap_or_default();
                let default =
                    if definition.default_action.is_empty() { "permit" } else { &definition.default_action };
                let row = vec![Cell::from(&p.name), Cell::from(default), definition.statements.len().into()];
                (p.name, row, definition::json(&definition))
            };
            let columns = [Column::left("Name"), Column::left("Default"), Column::right("Statements")];
            list(&columns, all.into_iter().map(row).collect(), out)
        }
        NamedAction::Show { name } => {
            let answer = client.get_policy(v1::GetPolicyRequest { name }).await?.into_inner();
            show(answer.name, &answer.definition.unwrap_or_default(), out)
        }
        NamedAction::Set { name, file } => {
            let mut definition: v1::PolicyDefinition = definition::read(&file)?;
            definition.extended = true;
            let request = v1::SetPolicyRequest { name: name.clone(), definition: Some(definition) };
            client.set_policy(request).await?;
            set_done("policy", &name, out)
        }
        NamedAction::Delete { name } => {
            client.delete_policy(v1::DeletePolicyRequest { name: name.clone() }).await?;
            deleted("policy", &name, out)
        }
    }
}

/// `neighbor-set ..`.
pub(super) async fn neighbor_set(
    connection: Connection,
    action: Option<NamedAction>,
    out: &mut Out,
) -> Result<(), CliError> {
    let mut client = policies(connection);
    match action.unwrap_or(NamedAction::List) {
        NamedAction::List => {
            let request = v1::ListNeighborSetsRequest {};
            let all = client.list_neighbor_sets(request).await?.into_inner().neighbor_sets;
            let row = |s: v1::NamedNeighborSet| {
                let set = s.definition.unwrap_or_default();
                let asns: Vec<String> = set.remote_asns.iter().map(u32::to_string).collect();
                let row = vec![
                    Cell::from(&s.name),
                    Cell::from(or_dash(&asns)),
                    Cell::from(or_dash(&set.peer_groups)),
                    Cell::from(or_dash(&set.addresses)),
                ];
                (s.name, row, definition::json(&set))
            };
            let columns = [
                Column::left("Name"),
                Column::left("AS numbers"),
                Column::left("Peer groups"),
                Column::left("Addresses").shrinking(),
            ];
            list(&columns, all.into_iter().map(row).collect(), out)
        }
        NamedAction::Show { name } => {
            let answer = client.get_neighbor_set(v1::GetNeighborSetRequest { name }).await?.into_inner();
            show(answer.name, &answer.definition.unwrap_or_default(), out)
        }
        NamedAction::Set { name, file } => {
            let definition = Some(definition::read(&file)?);
            client.set_neighbor_set(v1::SetNeighborSetRequest { name: name.clone(), definition }).await?;
            set_done("neighbor set", &name, out)
        }
        NamedAction::Delete { name } => {
            client.delete_neighbor_set(v1::DeleteNeighborSetRequest { name: name.clone() }).await?;
            deleted("neighbor set", &name, out)
        }
    }
}

/// `peer-group ..`.
pub(super) async fn peer_group(
    connection: Connection,
    action: Option<NamedAction>,
    out: &mut Out,
) -> Result<(), CliError> {
    let mut client = Groups::new(connection).max_decoding_message_size(MAX_ANSWER);
    match action.unwrap_or(NamedAction::List) {
        NamedAction::List => {
            let all = client.list_peer_groups(v1::ListPeerGroupsRequest {}).await?.into_inner().peer_groups;
            let row = |g: v1::NamedPeerGroup| {
                let group = g.definition.unwrap_or_default();
                let row = vec![
                    Cell::from(&g.name),
                    Cell::from(group.hold_time.map_or_else(|| "-".to_owned(), |t| t.to_string())),
                    Cell::from(or_dash(&group.families)),
                    Cell::from(or_dash(&group.import_policy_chain)),
                    Cell::from(or_dash(&group.export_policy_chain)),
                    Cell::from(group.description.as_deref().unwrap_or("-")),
                ];
                (g.name, row, definition::json(&group))
            };
            let columns = [
                Column::left("Name"),
                Column::right("Hold time"),
                Column::left("Families"),
                Column::left("Import chain"),
                Column::left("Export chain"),
                Column::left("Description").shrinking(),
            ];
            list(&columns, all.into_iter().map(row).collect(), out)
        }
        NamedAction::Show { name } => {
            let answer = client.get_peer_group(v1::GetPeerGroupRequest { name }).await?.into_inner();
            show(answer.name, &answer.definition.unwrap_or_default(), out)
        }
        NamedAction::Set { name, file } => {
            let mut definition: v1::PeerGroupDefinition = definition::read(&file)?;
            definition.extended = true;
            let request = v1::SetPeerGroupRequest { name: name.clone(), definition: Some(definition) };
            client.set_peer_group(request).await?;
            set_done("peer group", &name, out)
        }
        NamedAction::Delete { name } => {
            client.delete_peer_group(v1::DeletePeerGroupRequest { name: name.clone() }).await?;
            deleted("peer group", &name, out)
        }
    }
}

/// Sets of one kind that statements match on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sets {
    Prefixes,
    Asns,
    Communities,
}

impl Sets {
    fn kind(self) -> i32 {
        match self {
            Sets::Prefixes => MatchSetKind::Prefix.into(),
            Sets::Asns => MatchSetKind::As.into(),
            Sets::Communities => MatchSetKind::Community.into(),
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Sets::Prefixes => "prefix set",
            Sets::Asns => "AS set",
            Sets::Communities => "community set",
        }
    }

    fn read(self, file: &Path) -> Result<Vec<String>, CliError> {
        Ok(match self {
            Sets::Prefixes => definition::read::<PrefixSet>(file)?.prefixes,
            Sets::Asns => definition::read::<AsSet>(file)?.asns.iter().map(u32::to_string).collect(),
            Sets::Communities => definition::read::<CommunitySet>(file)?.communities,
        })
    }

    fn show(self, name: String, entries: Vec<String>, out: &mut Out) -> Result<(), CliError> {
        match self {
            Sets::Prefixes => show(name, &PrefixSet { prefixes: entries }, out),
            Sets::Asns => {
                show(name, &AsSet { asns: entries.iter().filter_map(|n| n.parse().ok()).collect() }, out)
            }
            Sets::Communities => show(name, &CommunitySet { communities: entries }, out),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrefixSet {
    prefixes: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AsSet {
    asns: Vec<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommunitySet {
    communities: Vec<String>,
}

/// `prefix-set ..` and its likes.
pub(super) async fn match_set(
    connection: Connection,
    sets: Sets,
    action: Option<NamedAction>,
    out: &mut Out,
) -> Result<(), CliError> {
    let mut client = policies(connection);
    let kind = sets.kind();
    match action.unwrap_or(NamedAction::List) {
        NamedAction::List => {
            let all = client.list_match_sets(v1::ListMatchSetsRequest { kind }).await?.into_inner().sets;
            let row = |s: v1::MatchSetSize| {
                let row = vec![Cell::from(&s.name), s.entries.into()];
                let size = Map::from_iter([("entries".to_owned(), json!(s.entries))]);
                (s.name, row, size)
            };
            let columns = [Column::left("Name"), Column::right("Entries")];
            list(&columns, all.into_iter().map(row).collect(), out)
        }
        NamedAction::Show { name } => {
            let set = client.get_match_set(v1::GetMatchSetRequest { kind, name }).await?.into_inner();
            sets.show(set.name, set.entries, out)
        }
        NamedAction::Set { name, file } => {
            let entries = sets.read(&file)?;
            client.set_match_set(v1::SetMatchSetRequest { kind, name: name.clone(), entries }).await?;
            set_done(sets.noun(), &name, out)
        }
        NamedAction::Delete { name } => {
            client.delete_match_set(v1::DeleteMatchSetRequest { kind, name: name.clone() }).await?;
            deleted(sets.noun(), &name, out)
        }
    }
}

fn list(
    columns: &[Column],
    all: Vec<(String, Row, Map<String, Value>)>,
    out: &mut Out,
) -> Result<(), CliError> {
    if out.json {
        let all: Vec<Value> = all.into_iter().map(|(name, _, fields)| named(name, fields)).collect();
        return Ok(out.document(&Value::Array(all))?);
    }
    let rows: Vec<Row> = all.into_iter().map(|(_, row, _)| row).collect();
    Ok(Table::print(columns, &rows, out)?)
}

fn show<T: Serialize>(name: String, definition: &T, out: &mut Out) -> Result<(), CliError> {
    if out.json {
        return Ok(out.document(&named(name, definition::json(definition)))?);
    }
    Ok(out.text(&definition::toml(definition))?)
}

fn named(name: String, mut fields: Map<String, Value>) -> Value {
    fields.insert("name".to_owned(), Value::String(name));
    Value::Object(fields)
}

fn set_done(noun: &str, name: &str, out: &mut Out) -> Result<(), CliError> {
    Ok(out.done(&format!("{noun} {name:?} set, also in the configuration file"))?)
}

fn deleted(noun: &str, name: &str, out: &mut Out) -> Result<(), CliError> {
    Ok(out.done(&format!("{noun} {name:?} deleted, also from the configuration file"))?)
}

fn or_dash(list: &[String]) -> String {
    if list.is_empty() { "-".to_owned() } else { list.join(", ") }
}
