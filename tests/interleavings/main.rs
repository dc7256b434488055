//! What calls of one attendee share, in every order in which threads may meet in it.

mod endings;
mod lease;
