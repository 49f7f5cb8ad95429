//! Lists of routes: fetched and printed page by page, so that a full table needs no memory.

use std::io;

use grpc::v1::rib_service_client::RibServiceClient;
use grpc::v1::{ListRoutesRequest, ListRoutesResponse, Route};
use tonic::Status;

use crate::connect::{Connection, MAX_ANSWER};
use crate::error::CliError;
use crate::output::table::{Cell, Column, Row, Table as Printed};
use crate::output::{Out, json, text};

/// Routes on the first page: few enough to be seen at once.
const FIRST_PAGE: u32 = 1_000;
/// Routes on each later page: as many as there may be.
const PAGE: u32 = 10_000;

/// Which table to read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Table {
    /// The best routes.
    Best,
    /// What a neighbor sent.
    Received,
    /// What a neighbor was sent.
    Advertised,
}

type Client = RibServiceClient<Connection>;

async fn page(
    client: &mut Client,
    table: Table,
    request: ListRoutesRequest,
) -> Result<ListRoutesResponse, Status> {
    let answer = match table {
        Table::Best => client.list_best_routes(request).await,
        Table::Received => client.list_received_routes(request).await,
        Table::Advertised => client.list_advertised_routes(request).await,
    };
    answer.map(tonic::Response::into_inner)
}

/// Prints all routes that match; with `details`, everything about each.
pub(super) async fn print(
    connection: Connection,
    table: Table,
    mut request: ListRoutesRequest,
    details: bool,
    out: &mut Out,
) -> Result<(), CliError> {
    let mut client = RibServiceClient::new(connection).max_decoding_message_size(MAX_ANSWER);
    request.page_size = FIRST_PAGE;
    let mut printer = Printer::new(details, out);
    loop {
        let answer = page(&mut client, table, request.clone()).await?;
        printer.page(&answer.routes)?;
        if answer.next_page_token.is_empty() {
            return Ok(printer.end()?);
        }
        request.page_token = answer.next_page_token;
        request.page_size = PAGE;
    }
}

struct Printer<'a> {
    out: &'a mut Out,
    details: bool,
    printed: u64,
    table: Option<Printed>,
}

impl<'a> Printer<'a> {
    fn new(details: bool, out: &'a mut Out) -> Printer<'a> {
        Printer { out, details, printed: 0, table: None }
    }

    fn page(&mut self, routes: &[Route]) -> io::Result<()> {
        if self.out.json {
            self.json_page(routes)?;
        } else if self.details {
            routes.iter().try_for_each(|r| details(r, self.out))?;
        } else {
            self.table_page(routes)?;
        }
        self.printed += routes.len() as u64;
        self.out.flush()
    }

    fn json_page(&mut self, routes: &[Route]) -> io::Result<()> {
        for (i, route) in (self.printed..).zip(routes) {
            let before = if i == 0 { "[\n" } else { ",\n" };
            self.out.text(&format!("{before}{}", json::route(route)))?;
        }
        Ok(())
    }

    fn table_page(&mut self, routes: &[Route]) -> io::Result<()> {
        let rows: Vec<Row> = routes.iter().map(row).collect();
        if self.table.is_none() && !rows.is_empty() {
            let table = Printed::fitting(&COLUMNS, &rows, self.out.width);
            table.header(self.out)?;
            self.table = Some(table);
        }
        match &self.table {
            Some(table) => rows.iter().try_for_each(|row| table.row(self.out, row)),
            None => Ok(()),
        }
    }

    fn end(self) -> io::Result<()> {
        match (self.out.json, self.printed) {
            (true, 0) => self.out.line("[]"),
            (true, _) => self.out.line("\n]"),
            (false, 0) => self.out.line("no such routes"),
            (false, _) => Ok(()),
        }
    }
}

// Least widths leave room for longer rows on later pages.
const COLUMNS: [Column; 7] = [
    Column::left(" ").at_least(2),
    Column::left("Prefix").at_least(18).shrinking_to(20),
    Column::left("Next hop").at_least(15).shrinking_to(15),
    Column::left("From").at_least(15).shrinking_to(15),
    Column::right("LocPref"),
    Column::right("MED").at_least(4),
    Column::left("AS path").shrinking_to(11),
];

fn prefix(route: &Route) -> String {
    format!("{}/{}", route.prefix, route.prefix_length)
}

fn from(route: &Route) -> &str {
    if route.peer_address == "0.0.0.0" { "injected" } else { &route.peer_address }
}

/// With the path identifier, where there is one.
fn from_path(route: &Route) -> String {
    match route.path_id {
        0 => from(route).to_owned(),
        id => format!("{} #{id}", from(route)),
    }
}

fn number(present: bool, value: u32) -> String {
    if present { value.to_string() } else { "-".to_owned() }
}

fn row(route: &Route) -> Row {
    let path = text::as_path(route);
    let blank = if path.is_empty() { "" } else { " " };
    let marks = match (route.best, route.stale, route.rejected) {
        (_, _, true) => " R",
        (true, true, _) => "*S",
        (true, false, _) => "*",
        (false, true, _) => " S",
        (false, false, _) => " ",
    };
    vec![
        Cell::from(marks),
        Cell::from(prefix(route)),
        Cell::from(&route.next_hop),
        Cell::from(from_path(route)),
        Cell::from(number(route.has_local_pref, route.local_pref)),
        Cell::from(number(route.has_med, route.med)),
        Cell::from(format!("{path}{blank}{}", text::origin_letter(route.origin))),
    ]
}

/// Everything about a route.
pub(super) fn details(route: &Route, out: &mut Out) -> io::Result<()> {
    let best = if route.best { ", best" } else { "" };
    let stale = if route.stale { ", stale" } else { "" };
    let rejected = if route.rejected { ", rejected by import policy" } else { "" };
    out.line(format!("{} from {}{best}{stale}{rejected}", prefix(route), from(route)))?;
    attributes(route, "  ", out)
}

/// What a route says, each line behind `indent`.
pub(super) fn attributes(route: &Route, indent: &str, out: &mut Out) -> io::Result<()> {
    let path = text::as_path(route);
    let hop = match route.link_local_next_hop.as_str() {
        "" => route.next_hop.clone(),
        link_local => format!("{}, {link_local}", route.next_hop),
    };
    let fields = [
        ("Next hop", hop),
        ("AS path", if path.is_empty() { "(empty)".to_owned() } else { path }),
        ("Origin", text::origin(route.origin).to_owned()),
        ("Local pref", if route.has_local_pref { route.local_pref.to_string() } else { String::new() }),
        ("MED", if route.has_med { route.med.to_string() } else { String::new() }),
        ("Communities", text::list(&route.communities, |c| text::community(*c))),
        ("Extended", text::list(&route.extended_communities, |c| text::extended_community(*c))),
        ("Large", route.large_communities.join(" ")),
        ("OTC", if route.only_to_customer == 0 { String::new() } else { route.only_to_customer.to_string() }),
        ("Path ID", if route.path_id == 0 { String::new() } else { route.path_id.to_string() }),
        ("RPKI", route.validation_state.clone()),
        ("ASPA", route.aspa_state.clone()),
    ];
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        let room = out.width.map(|w| w.saturating_sub(indent.len() + 13));
        for (i, line) in text::wrapped(value, room).iter().enumerate() {
            let title = if i == 0 { format!("{name}:") } else { String::new() };
            out.line(format!("{indent}{title:<13}{line}"))?;
        }
    }
    Ok(())
}
