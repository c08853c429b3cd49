//! What both services know: how a change of a product is told, and over which exchange.

use oat::bus::{Binding, Exchange, ExchangeKind, Queue, Topology};
use serde::{Deserialize, Serialize};

/// Where changes are published, under `product.created`, `product.updated` and `product.deleted`.
pub const EXCHANGE: &str = "products";
/// Where products_service takes them from.
pub const QUEUE: &str = "products_service.events";
/// Where it puts what it cannot understand; `oat bus inspect products.dead` shows why.
pub const DEAD: &str = "products.dead";

/// A product as the administrators keep it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Product {
    pub id: i64,
    pub title: String,
    #[serde(default)]
    pub description: String,
    /// A decimal number as text: money is no floating-point number.
    pub price: String,
    #[serde(default)]
    pub image: String,
}

/// One change. It holds the whole product, so that nobody has to ask for the rest, and counts the changes of that
/// product, so that one which comes twice, or late, is recognised.
#[derive(Debug, Serialize, Deserialize)]
pub struct Change {
    pub product: Product,
    pub version: i64,
    pub deleted: bool,
}

impl Change {
    pub fn name(&self) -> &'static str {
        match (self.deleted, self.version) {
            (true, _) => "product.deleted",
            (false, 1) => "product.created",
            (false, _) => "product.updated",
        }
    }
}

/// Both declare all of it: whoever is first makes it, and no change is lost because the other is late.
pub fn topology() -> Topology {
    Topology {
        exchanges: [EXCHANGE, DEAD].map(|name| Exchange::new(name, ExchangeKind::Topic)).to_vec(),
        queues: vec![
            Queue::new(DEAD).bound(Binding::new(DEAD, "#")),
            Queue::new(QUEUE)
                .bound(Binding::new(EXCHANGE, "product.*"))
                .dead_letters_to(DEAD, QUEUE)
                .delivery_limit(20),
        ],
    }
}
