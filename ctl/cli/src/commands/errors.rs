//! `neighbor ADDR errors`: what a neighbor did wrong, with its octets.

use grpc::v1::{GetNeighborErrorsResponse, NeighborError, NeighborErrorCount};

use crate::error::CliError;
use crate::output::table::{Cell, Column, Row, Table};
use crate::output::{Out, json, text};

/// Octets of a line.
const LINE: usize = 16;

/// Prints counters and the last errors.
pub(super) fn print(errors: &GetNeighborErrorsResponse, out: &mut Out) -> Result<(), CliError> {
    if out.json {
        return Ok(out.document(&json::errors(errors))?);
    }
    if errors.errors.is_empty() && errors.counts.is_empty() {
        return Ok(out.line("the neighbor has made no errors")?);
    }
    if !errors.counts.is_empty() {
        print_counts(&errors.counts, out)?;
    }
    for error in &errors.errors {
        out.line("")?;
        print_error(error, out)?;
    }
    Ok(())
}

fn print_counts(counts: &[NeighborErrorCount], out: &mut Out) -> Result<(), CliError> {
    let columns = [
        Column::left("Kind").shrinking_to(20),
        Column::left("Attribute"),
        Column::left("Verdict"),
        Column::right("Count"),
    ];
    let row = |c: &NeighborErrorCount| -> Row {
        let attribute = match (c.attribute, c.attribute_name.as_str()) {
            (0, _) => "-".to_owned(),
            (code, "") => code.to_string(),
            (_, name) => name.to_owned(),
        };
        vec![Cell::from(&c.kind), Cell::from(attribute), Cell::from(&c.verdict), Cell::from(c.count)]
    };
    Ok(Table::print(&columns, &counts.iter().map(row).collect::<Vec<_>>(), out)?)
}

fn print_error(error: &NeighborError, out: &mut Out) -> Result<(), CliError> {
    out.line(format!("{}  {}  {}", text::time(error.time_ms), error.verdict, error.message))?;
    for line in error.octets.chunks(LINE) {
        let octets: Vec<String> = line.iter().map(|o| text::hex(&[*o])).collect();
        out.line(format!("    {}", octets.join(" ")))?;
    }
    let left = u64::from(error.octet_count).saturating_sub(error.octets.len() as u64);
    if left > 0 {
        out.line(format!("    and {left} octets more"))?;
    }
    Ok(())
}
