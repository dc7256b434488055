//! How all that lets an owner in ends: in the transaction of the change that ends it, so that no
//! failure leaves any of it behind, and whatever began before opens nothing after.

use super::{api_token, held_form, link, session};
use crate::catalog::Result;
use crate::db::Tx;

/// Ends every session, API token, unused link and waiting form of an owner, when the account is
/// recovered or switched off: whoever lost a password may have lost more.
pub(super) async fn end_access(tx: &mut Tx, owner_id: &str) -> Result<()> {
    session::end_all_in(tx, owner_id).await?;
    held_form::drop_all_in(tx, owner_id).await?;
    link::void_unused(tx, owner_id).await?;
    api_token::revoke_all_in(tx, owner_id).await
}

/// Takes the account away with which an owner signs in, as a part of a transaction; whether there was
/// one.
pub(super) async fn remove_account(tx: &mut Tx, owner_id: &str) -> Result<bool> {
    let removed = sqlx::query("delete from entra_account where owner_id = $1")
        .bind(owner_id)
        .execute(&mut **tx)
        .await?;
    Ok(removed.rows_affected() > 0)
}
