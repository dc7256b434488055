//! loom's lock with the interface of parking_lot's, which has no poisoning.

use loom::sync::MutexGuard;

#[derive(Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        // A model ends with the first panic of a thread.
        self.0.lock().expect("no thread has panicked")
    }
}
