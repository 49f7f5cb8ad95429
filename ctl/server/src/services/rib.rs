//! RibService: reading the tables, page by page.

use std::sync::Arc;

use bgp::Family;
use grpc::v1::rib_service_server::RibService;
use grpc::v1::{
    ExplainAdvertisedRouteRequest, ExplainAdvertisedRouteResponse, ExplainBestPathRequest,
    ExplainBestPathResponse, ExplainReceivedRouteRequest, ExplainReceivedRouteResponse, FamilyTables,
    ListFlowSpecRequest, ListFlowSpecResponse, ListRoutesRequest, ListRoutesResponse, NeighborTables,
    RibSummaryRequest, RibSummaryResponse, RouteEvent, WatchRoutesRequest,
};
use ipc::control_rde::{ControlToRde, Cursor, PageEnd, RdeToControl, RouteView, Table};
use ipnet::IpNet;
use prost::Message;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::convert::{self, of_family};
use crate::error::{invalid, not_yet};
use crate::page;
use crate::services::explain;
use crate::view::View;
use crate::watch;

const DEFAULT_PAGE: u32 = 1_000;
const MAX_PAGE: u32 = 10_000;

/// How large a page may become, in octets: gRPC libraries refuse answers of more than 4 MiB by default.
const MAX_PAGE_OCTETS: usize = 3 << 20;

/// The service.
#[derive(Debug)]
pub(super) struct Rib(pub(super) Arc<App>);

impl Rib {
    async fn list(
        &self,
        table: Table,
        request: ListRoutesRequest,
    ) -> Result<Response<ListRoutesResponse>, Status> {
        let filter = convert::route_filter(&request)?;
        let question = page::fingerprint(&table, &filter);
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(page::decode(question, token).ok_or_else(|| {
                let what = "is not from an answer to the same question: ask again without a token";
                invalid("page_token", token, what)
            })?),
        };
        let limit = if request.page_size == 0 { DEFAULT_PAGE } else { request.page_size.min(MAX_PAGE) };
        // Closed never.
        let _turn = self.0.lists.acquire().await;
        let (routes, end) = self.page(table, filter, after, limit).await?;
        Ok(Response::new(answer(&*self.0.view()?, question, routes, end)))
    }

    /// A page, whole.
    async fn page(
        &self,
        table: Table,
        filter: ipc::control_rde::RouteFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<(Vec<RouteView>, PageEnd), Status> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut query =
            self.0.rde.ask(|id| ControlToRde::ListRoutes { id, table, filter, after, limit }).await?;
        let mut found = Vec::new();
        loop {
            match query.next().await? {
                RdeToControl::Routes { routes, end, .. } if found.len() + routes.len() <= most => {
                    found.extend(routes);
                    if let Some(end) = end {
                        query.finish();
                        return Ok((found, end));
                    }
                }
                RdeToControl::Failed { error, .. } => {
                    query.finish();
                    return Err(Status::invalid_argument(error));
                }
                _ => return Err(query.confused()),
            }
        }
    }

    /// The neighbor of a request that must have one.
    fn required_peer(&self, request: &ListRoutesRequest) -> Result<ipc::PeerId, Status> {
        match request.neighbor_address.as_str() {
            "" => Err(invalid(
                "neighbor_address",
                "",
                "is missing: whose routes? Give an address such as 192.0.2.1",
            )),
            address => Ok(self.0.peer("neighbor_address", address)?.id),
        }
    }
}

/// The page as an answer, cut short where it would be too large.
fn answer(view: &View, question: u64, routes: Vec<RouteView>, end: PageEnd) -> ListRoutesResponse {
    let mut page = ListRoutesResponse { total_count: end.total, ..ListRoutesResponse::default() };
    let mut next = end.next;
    let mut octets = 0;
    let mut last = None;
    for view_of_route in routes {
        let cursor = cursor(&view_of_route);
        let route = convert::route(view, view_of_route);
        octets += route.encoded_len() + 8;
        if octets > MAX_PAGE_OCTETS && last.is_some() {
            next = last;
            break;
        }
        last = Some(cursor);
        page.routes.push(route);
    }
    page.next_page_token = next.map(|cursor| page::encode(question, cursor)).unwrap_or_default();
    page
}

/// Where a page that ends with this route ends.
fn cursor(route: &RouteView) -> Cursor {
    let family = match route.prefix {
        IpNet::V4(_) => Family::Ipv4Unicast,
        IpNet::V6(_) => Family::Ipv6Unicast,
    };
    Cursor { family, prefix: route.prefix, peer: route.peer, path_id: route.path_id }
}

#[tonic::async_trait]
impl RibService for Rib {
    async fn list_received_routes(
        &self,
        request: Request<ListRoutesRequest>,
    ) -> Result<Response<ListRoutesResponse>, Status> {
        let request = request.into_inner();
        let peer = match request.neighbor_address.as_str() {
            "" => None,
            address => Some(self.0.peer("neighbor_address", address)?.id),
        };
        self.list(Table::AdjRibIn(peer), request).await
    }

    async fn list_best_routes(
        &self,
        request: Request<ListRoutesRequest>,
    ) -> Result<Response<ListRoutesResponse>, Status> {
        let request = request.into_inner();
        if !request.neighbor_address.is_empty() {
            let what = "the best routes are not a neighbor's: leave it empty, or use ListReceivedRoutes";
            return Err(invalid("neighbor_address", request.neighbor_address, what));
        }
        self.list(Table::LocRib, request).await
    }

    async fn list_advertised_routes(
        &self,
        request: Request<ListRoutesRequest>,
    ) -> Result<Response<ListRoutesResponse>, Status> {
        let request = request.into_inner();
        let peer = self.required_peer(&request)?;
        self.list(Table::AdjRibOut(peer), request).await
    }

    async fn get_rib_summary(
        &self,
        _: Request<RibSummaryRequest>,
    ) -> Result<Response<RibSummaryResponse>, Status> {
        let view = self.0.view()?;
        let counters = self.0.counters().await?;
        let tables = &counters.tables;
        let families = Family::ALL
            .into_iter()
            .map(|f| FamilyTables {
                family: f.name().to_owned(),
                loc_rib_prefixes: of_family(&tables.loc_rib, f),
                adj_rib_in_routes: of_family(&tables.adj_rib_in, f),
                adj_rib_out_routes: of_family(&tables.adj_rib_out, f),
            })
            .collect();
        let neighbors = view
            .peers
            .values()
            .map(|p| NeighborTables {
                address: p.address.to_string(),
                description: p.description.clone(),
                families: convert::family_prefixes(p, counters.peers.get(&p.id)),
            })
            .collect();
        Ok(Response::new(RibSummaryResponse { families, neighbors, attribute_sets: tables.attribute_sets }))
    }

    async fn explain_advertised_route(
        &self,
        request: Request<ExplainAdvertisedRouteRequest>,
    ) -> Result<Response<ExplainAdvertisedRouteResponse>, Status> {
        explain::advertised(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn explain_received_route(
        &self,
        request: Request<ExplainReceivedRouteRequest>,
    ) -> Result<Response<ExplainReceivedRouteResponse>, Status> {
        explain::received(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn explain_best_path(
        &self,
        request: Request<ExplainBestPathRequest>,
    ) -> Result<Response<ExplainBestPathResponse>, Status> {
        explain::best_path(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn watch_routes(
        &self,
        request: Request<WatchRoutesRequest>,
    ) -> Result<Response<BoxStream<RouteEvent>>, Status> {
        Ok(Response::new(watch::events(&self.0, &request.into_inner()).await?))
    }

    async fn list_flow_spec_routes(
        &self,
        _: Request<ListFlowSpecRequest>,
    ) -> Result<Response<ListFlowSpecResponse>, Status> {
        Err(not_yet("ListFlowSpecRoutes"))
    }
}
