//! A gate that holds calls until others have arrived, for tests of races: an emulator that does one call after the
//! other would let most races pass by luck.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// A gate in front of the emulated services. It is open unless a test closes it.
#[derive(Clone, Default)]
pub struct Gate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    closed: Mutex<Option<Closed>>,
    changed: Notify,
}

/// The calls that a closed gate waits for.
struct Closed {
    operation: &'static str,
    /// The number of calls that must arrive before the first one passes.
    expected: usize,
    arrived: usize,
    /// The functions whose calls pass, in this order, one after the other; empty if the order does not matter.
    order: Vec<String>,
    passed: usize,
}

/// The permission to make a call. The next one in the order passes when this ends.
#[derive(Default)]
pub struct Turn(Option<Gate>);

impl Gate {
    /// Holds calls of this operation until this number of them has arrived, and then opens for all.
    pub fn close(&self, operation: &'static str, expected: usize) {
        self.set(Closed { operation, expected, arrived: 0, order: Vec::new(), passed: 0 });
    }

    /// Holds the next call of this operation of each of these functions until all have arrived. Then they pass in this
    /// order, each after the one before it was done.
    pub fn close_in_order(&self, operation: &'static str, order: &[&str]) {
        let order: Vec<_> = order.iter().map(|&name| name.to_owned()).collect();
        self.set(Closed { operation, expected: order.len(), arrived: 0, order, passed: 0 });
    }

    /// Returns whether all calls have arrived and passed.
    pub fn is_open(&self) -> bool {
        self.0.closed.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn set(&self, closed: Closed) {
        *self.0.closed.lock().unwrap_or_else(PoisonError::into_inner) = Some(closed);
    }

    /// Waits until the call may pass.
    pub(crate) async fn pass(&self, operation: &str, function: &str) -> Turn {
        if !self.arrive(operation, function) {
            return Turn::default();
        }
        loop {
            // Listens before it looks, so that no change is missed.
            let changed = self.0.changed.notified();
            if self.may_pass(function) {
                return Turn(Some(self.clone()));
            }
            changed.await;
        }
    }

    /// Counts a call that the gate waits for. Returns whether it is one.
    fn arrive(&self, operation: &str, function: &str) -> bool {
        let mut closed = self.0.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(closed) = closed.as_mut().filter(|closed| {
            let is_expected = closed.order.is_empty() || closed.order.iter().any(|name| name == function);
            closed.operation == operation && closed.arrived < closed.expected && is_expected
        }) else {
            return false;
        };
        closed.arrived += 1;
        if closed.arrived == closed.expected {
            self.0.changed.notify_waiters();
        }
        true
    }

    fn may_pass(&self, function: &str) -> bool {
        let closed = self.0.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.as_ref().is_none_or(|closed| {
            let is_next =
                closed.order.is_empty() || closed.order.get(closed.passed).is_some_and(|name| name == function);
            closed.arrived == closed.expected && is_next
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(Gate(shared)) = &self.0 else { return };
        let mut closed = shared.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = closed.as_mut() {
            held.passed += 1;
            if held.passed == held.expected {
                *closed = None;
            }
        }
        shared.changed.notify_waiters();
    }
}
