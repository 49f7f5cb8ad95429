//! `policy test`: the tests that the configuration file has for its policies.

use grpc::v1::policy_service_client::PolicyServiceClient;
use grpc::v1::{StatementCoverage, TestPoliciesRequest};

use crate::connect::Connection;
use crate::error::CliError;
use crate::output::Out;
use crate::output::table::{Cell, Column, Paint, Row, Table};

/// Runs them. Fails where one does.
pub(super) async fn run(client: &mut PolicyServiceClient<Connection>, out: &mut Out) -> Result<(), CliError> {
    let report = client.test_policies(TestPoliciesRequest {}).await?.into_inner();
    let failed = report.tests.iter().filter(|t| !t.passed).count();
    if out.json {
        let document = serde_json::to_value(&report).map_err(|e| CliError::Failed(e.to_string()))?;
        out.document(&document)?;
    } else {
        if !report.diagnostics.is_empty() {
            out.line(format!("{}\n", report.diagnostics))?;
        }
        let rows: Vec<Row> = report.coverage.iter().map(row).collect();
        let columns = [
            Column::left("Policy"),
            Column::right("Statement"),
            Column::left("Name"),
            Column::right("Line"),
            Column::right("Decided"),
        ];
        if !rows.is_empty() {
            Table::print(&columns, &rows, out)?;
            out.line("")?;
        }
        let reached = report.coverage.iter().filter(|s| s.hits > 0).count();
        out.line(format!(
            "{} passed, {failed} failed; {reached} of {} statements decided",
            report.tests.len() - failed,
            report.coverage.len()
        ))?;
    }
    match (failed, report.tests.len()) {
        (0, 0) => Err(CliError::Failed("the configuration file has no [[policy.tests]]".to_owned())),
        (0, _) => Ok(()),
        (failed, all) => Err(CliError::Failed(format!("{failed} of {all} policy tests failed"))),
    }
}

fn row(s: &StatementCoverage) -> Row {
    let paint = if s.hits == 0 { Paint::Yellow } else { Paint::Plain };
    let name = if s.name.is_empty() { "-" } else { &s.name };
    vec![
        Cell::from(&s.policy),
        s.number.into(),
        Cell::from(name),
        s.line.into(),
        Cell::painted(s.hits.to_string(), paint),
    ]
}
