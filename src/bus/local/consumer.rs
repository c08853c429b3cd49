//! The receiving end. The thread claims ahead, up to the prefetch; what lies here unread is not yet a delivery.

use super::super::Delivery;
use super::rows::Parcel;
use super::work::{ConsumerId, Line, Work};
use tokio::sync::mpsc::UnboundedReceiver;

/// Takes deliveries from one queue of the file.
#[derive(Debug)]
pub struct Consumer {
    line: Line,
    id: ConsumerId,
    queue: String,
    parcels: UnboundedReceiver<Parcel>,
}

impl Consumer {
    /// It exists before the thread knows of it: dropping it takes back whatever the thread has done for it by then.
    pub(super) fn new(line: Line, queue: &str, parcels: UnboundedReceiver<Parcel>) -> Consumer {
        Consumer { id: line.number(), line, queue: queue.into(), parcels }
    }

    /// Its number in its connection.
    pub(super) fn id(&self) -> ConsumerId {
        self.id
    }

    /// The next delivery; `None` after [`cancel`](Self::cancel) or the end of the connection.
    pub async fn next(&mut self) -> Option<Delivery> {
        let parcel = self.parcels.recv().await?;
        match self.line.is_closed() {
            true => None,
            false => Some(parcel.into_delivery(&self.queue, &self.line)),
        }
    }

    /// Stops, and returns when the unread messages are back in their queue.
    pub async fn cancel(&mut self) {
        let unread = self.unread();
        self.line.ask_leaving("cancelling", Work::Cancel { consumer: self.id, unread }).await.ok();
    }

    /// Closes first: a parcel sent after this fails to be sent, and the thread takes it back itself.
    fn unread(&mut self) -> Vec<i64> {
        self.parcels.close();
        std::iter::from_fn(|| self.parcels.try_recv().ok()).map(|parcel| parcel.id).collect()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let unread = self.unread();
        self.line.tell(Work::Cancel { consumer: self.id, unread });
    }
}
