//! The portal as a visitor with a browser sees it: the real process parts on a
//! port of their own, real cookies, HTML that is parsed.

mod account;
mod audit;
mod frame;
mod harness;
mod home;
mod owners;
mod set_up;
mod sign_in;
