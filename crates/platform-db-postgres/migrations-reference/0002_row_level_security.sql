-- Row-level security, forced, as in the schema `aftercommit`: whoever owns the tables sees everything outside a unit of
-- work and nothing more than its tenant inside one; every other role sees its tenant's, and nothing when it has none.
--
-- The organization is the wall. A unit of work of one project sees what its organization's other projects hold, because
-- that is what the repositories promise: a new project, the last API key and a member's role are matters of the whole
-- organization.

DO $$
DECLARE
    table_name   text;
    organization text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY[
        'organizations', 'projects', 'users', 'memberships', 'api_keys', 'sign_in_links', 'invitations',
        'invitation_tokens', 'records', 'requests'
    ] LOOP
        EXECUTE format('ALTER TABLE reference.%I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE reference.%I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY engine ON reference.%I TO CURRENT_USER '
            'USING (aftercommit.current_scope() IS NULL) WITH CHECK (aftercommit.current_scope() IS NULL)',
            table_name
        );
        CONTINUE WHEN table_name IN ('users', 'sign_in_links');
        organization := CASE table_name WHEN 'organizations' THEN 'id' ELSE 'organization_id' END;
        EXECUTE format(
            'CREATE POLICY tenant ON reference.%1$I '
            'USING (aftercommit.may_touch(%2$I, NULL)) WITH CHECK (aftercommit.may_touch(%2$I, NULL))',
            table_name, organization
        );
    END LOOP;
END
$$;

-- A person is found by the digest of their address and made when there is none, by whoever invites, signs up or signs
-- in: a unit of work of any tenant, or of none. Addresses are sealed. Nothing changes or removes a person yet, so no
-- policy lets anybody.
CREATE POLICY anyone_finds ON reference.users FOR SELECT
    USING (aftercommit.current_scope() IS NOT NULL);
CREATE POLICY anyone_adds ON reference.users FOR INSERT
    WITH CHECK (aftercommit.current_scope() IS NOT NULL);

-- A link is made before anybody knows who asks, and followed in the unit of work of the organization that someone new
-- would get. All that a change of it can do is use it up. Only the system's unit of work, which makes links, forgets old
-- ones.
CREATE POLICY anyone_finds ON reference.sign_in_links FOR SELECT
    USING (aftercommit.current_scope() IS NOT NULL);
CREATE POLICY anyone_adds ON reference.sign_in_links FOR INSERT
    WITH CHECK (aftercommit.current_scope() IS NOT NULL);
CREATE POLICY anyone_uses_up ON reference.sign_in_links FOR UPDATE
    USING (aftercommit.current_scope() IS NOT NULL)
    WITH CHECK (aftercommit.current_scope() IS NOT NULL AND used_at IS NOT NULL);
CREATE POLICY system_forgets ON reference.sign_in_links FOR DELETE
    USING (aftercommit.current_scope() = 'system');

-- A request on an open route has no tenant, and is answered in the unit of work of one that is being made or was just
-- found. Answers are sealed. An organization's requests are under the policy of every other table.
CREATE POLICY open_routes ON reference.requests
    USING (aftercommit.current_scope() IS NOT NULL AND organization_id = '')
    WITH CHECK (aftercommit.current_scope() IS NOT NULL AND organization_id = '');
