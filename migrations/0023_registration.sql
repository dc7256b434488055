-- From now on "closed" means it: the shared code lets nobody new in. Before, a
-- code that was set worked whatever was chosen, and goes on working.
update event set registration = 'shared-code' where registration <> 'shared-code';
