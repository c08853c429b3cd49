//! A way to the broker that can be cut: every connection through it ends at once, or falls silent.

use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A TCP proxy in this process.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    /// How many cuts there were: a connection ends when this changes.
    cuts: u32,
    /// The number of the one that ends now.
    cut: Option<usize>,
    /// Swallows what it reads.
    silent: bool,
    /// Lets nobody in who is not in.
    shut: bool,
}

impl Proxy {
    /// Leads from a free port of `host` to 127.0.0.1:`port`.
    pub async fn start(host: &str, port: u16) -> Proxy {
        let host = host.parse().expect("an address");
        Proxy::start_at(SocketAddr::new(host, 0), port).await
    }

    /// The same from a port of one's choice.
    pub async fn start_at(address: SocketAddr, port: u16) -> Proxy {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(watch::channel(State { cuts: 0, cut: None, silent: false, shut: false }).0);
        tokio::spawn(accept(listener, port, state.clone()));
        Proxy { address, state }
    }

    /// `url` as it goes through here.
    pub fn lead(&self, url: &str) -> String {
        let mut url = url::Url::parse(url).expect("a URL");
        url.set_host(Some(&self.address.ip().to_string())).expect("an address is a host");
        url.set_port(Some(self.address.port())).expect("the scheme has ports");
        url.into()
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Ends one: the first is number 0, and one that comes later has a higher number.
    pub fn cut_one(&self, number: usize) {
        self.state.send_modify(|state| state.cut = Some(number));
    }

    /// From now on swallows everything, connections stay open; or passes it on again.
    pub fn silence(&self, silent: bool) {
        self.state.send_modify(|state| state.silent = silent);
    }

    /// From now on turns new connections away, those that are there stay; or lets them in again.
    pub fn shut(&self, shut: bool) {
        self.state.send_modify(|state| state.shut = shut);
    }
}

async fn accept(listener: TcpListener, port: u16, state: Arc<watch::Sender<State>>) {
    let mut count = 0;
    while let Ok((client, _)) = listener.accept().await {
        if state.borrow().shut {
            continue;
        }
        let number = count;
        count += 1;
        let state = state.subscribe();
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let cuts = state.borrow().cuts;
            let (mut ended, watched) = (state.clone(), state);
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::select! {
                _ = ended.wait_for(|state| state.cuts != cuts || state.cut == Some(number)) => {}
                () = pass(from_client, to_server, watched.clone()) => {}
                () = pass(from_server, to_client, watched) => {}
            }
        });
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: watch::Receiver<State>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if !state.borrow().silent && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
