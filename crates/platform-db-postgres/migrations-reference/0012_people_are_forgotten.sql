-- A person who is deleted gets an address that says nothing of them. Only the system's unit of work does it: a person is of all
-- organizations, so no organization's may.
CREATE POLICY system_forgets ON reference.users FOR UPDATE
    USING (aftercommit.current_scope() = 'system') WITH CHECK (aftercommit.current_scope() = 'system');
