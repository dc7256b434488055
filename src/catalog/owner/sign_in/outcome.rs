//! How somebody signed in, or why not, in the words that are stored and shown. They never change,
//! so that rows of earlier releases read like those of today.

/// What came of somebody who wanted to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Password,
    Microsoft,
    Link,
    FirstLink,

    WrongPassword,
    /// The password that an owner who is signed in is asked for once more.
    NotConfirmed,
    /// The Microsoft account, likewise.
    OtherAccount,
    TooMany,
    PasswordsOff,
    ForeignTenant,
    NoOwner,
    Deactivated,
    DeniedByMicrosoft,
    LinkOver,
}

impl Outcome {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Password => "signed in with a password",
            Outcome::Microsoft => "signed in with Microsoft",
            Outcome::Link => "signed in with a one-time link",
            Outcome::FirstLink => "signed in with a link for administrators",
            Outcome::WrongPassword => "wrong password",
            Outcome::NotConfirmed => "wrong password where it is asked for again",
            Outcome::OtherAccount => {
                "Microsoft account of somebody else where it is asked for again"
            }
            Outcome::TooMany => "not compared: too many attempts",
            Outcome::PasswordsOff => "not compared: passwords are switched off",
            Outcome::ForeignTenant => "Microsoft account of another organisation",
            Outcome::NoOwner => "Microsoft account of nobody here",
            Outcome::Deactivated => "Microsoft account of a deactivated owner",
            Outcome::DeniedByMicrosoft => "refused by Microsoft",
            Outcome::LinkOver => "Microsoft account with a link that is no longer valid",
        }
    }

    pub fn is_success(self) -> bool {
        matches!(self, Outcome::Password | Outcome::Microsoft | Outcome::Link | Outcome::FirstLink)
    }
}
