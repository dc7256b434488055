//! What was done, in the words that the audit trail stores and shows. They never change,
//! so that rows of earlier releases read like those of today.

/// What was done to a noun: a change, or something that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Created,
    Updated,
    Deleted,

    Paused,
    Resumed,
    Extended,
    RaisedCap,
    ClosedRegistration,
    ReopenedRegistration,
    RanPreflight,
    Forgot,
    IssuedKeys,

    SwitchedOn,
    SwitchedOff,

    Activated,
    Deactivated,
    MadeNewKey,
    MadeCards,
    PrintedCards,
    ClaimedCard,
    SignedOutEverywhere,
    LetInAgain,

    Invited,
    MadeLink,
    BecameOwner,
    BecameAdministrator,
    MadeAdministrator,
    MadePlainOwner,
    Reactivated,
    SetPassword,
    ChangedPassword,
    LinkedAccount,
    MadeApiToken,
    RevokedApiToken,
    BackedUp,
    Restored,
}

impl Action {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Created => "created",
            Action::Updated => "updated",
            Action::Deleted => "deleted",
            Action::Paused => "paused",
            Action::Resumed => "resumed",
            Action::Extended => "extended",
            Action::RaisedCap => "raised the cap",
            Action::ClosedRegistration => "closed registration",
            Action::ReopenedRegistration => "reopened registration",
            Action::Forgot => "forgot",
            Action::RanPreflight => "ran the pre-flight of",
            Action::IssuedKeys => "issued",
            Action::SwitchedOn => "switched on",
            Action::SwitchedOff => "switched off",
            Action::Activated => "activated",
            Action::Deactivated => "deactivated",
            Action::MadeNewKey => "new key",
            Action::MadeCards => "made cards",
            Action::PrintedCards => "printed cards again",
            Action::ClaimedCard => "claimed a card",
            Action::SignedOutEverywhere => "signed out everywhere",
            Action::LetInAgain => "let in again",
            Action::Invited => "invited",
            Action::MadeLink => "made a link for",
            Action::BecameOwner => "became owner",
            Action::BecameAdministrator => "became administrator",
            Action::MadeAdministrator => "made administrator",
            Action::MadePlainOwner => "made plain owner",
            Action::Reactivated => "reactivated",
            Action::SetPassword => "set password",
            Action::ChangedPassword => "changed password",
            Action::LinkedAccount => "linked a Microsoft account to",
            Action::MadeApiToken => "made an API token",
            Action::RevokedApiToken => "revoked an API token",
            Action::BackedUp => "backed up",
            Action::Restored => "restored",
        }
    }
}
