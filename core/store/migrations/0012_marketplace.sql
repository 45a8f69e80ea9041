-- The private marketplace: signed artifacts, who took one back, who installed it, and the log of all that.

-- What signs artifacts and the log. A key that no longer signs has no secret any more, and verifies for ever.
CREATE TABLE artifact_keys (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    kid         text COLLATE "C" NOT NULL,
    origin      text        NOT NULL,            -- own: this installation signs with it; trusted: another one does
    public      bytea       NOT NULL,
    secret      bytea,                           -- the seed; null once another key signs
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at  timestamptz,
    CONSTRAINT artifact_keys_pkey PRIMARY KEY (id),
    CONSTRAINT artifact_keys_kid_key UNIQUE (kid),
    CONSTRAINT artifact_keys_origin_known CHECK (origin IN ('own', 'trusted')),
    CONSTRAINT artifact_keys_public_length CHECK (octet_length(public) = 32),
    CONSTRAINT artifact_keys_secret_length CHECK (octet_length(secret) = 32),
    CONSTRAINT artifact_keys_secret_own CHECK (secret IS NULL OR (origin = 'own' AND revoked_at IS NULL))
);

CREATE TABLE marketplace_items (
    id                bigint GENERATED ALWAYS AS IDENTITY,
    company_id        bigint      NOT NULL,
    flow_id           bigint      NOT NULL,      -- no foreign key, like all that follows: an item outlives them
    version_id        bigint      NOT NULL,
    name              text        NOT NULL,      -- the flow's
    name_folded       text COLLATE "C" NOT NULL,
    version           text COLLATE "C" NOT NULL, -- the version's name
    description       text,
    private           boolean     NOT NULL,
    digest            bytea       NOT NULL,      -- SHA-256 of the artifact
    size              integer     NOT NULL,      -- bytes of the artifact
    key_id            text        NOT NULL,
    job_id            bigint      NOT NULL,
    uploaded_by_type  text        NOT NULL,
    uploaded_by_id    bigint,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT marketplace_items_pkey PRIMARY KEY (id),
    CONSTRAINT marketplace_items_digest_key UNIQUE (company_id, digest, private),
    CONSTRAINT marketplace_items_company_fkey FOREIGN KEY (company_id) REFERENCES companies,
    CONSTRAINT marketplace_items_digest_length CHECK (octet_length(digest) = 32)
);

CREATE INDEX marketplace_items_company_index ON marketplace_items (company_id, id);
CREATE INDEX marketplace_items_flow_index ON marketplace_items (flow_id, id);
CREATE INDEX marketplace_items_public_index ON marketplace_items (id) WHERE NOT private;

-- The signed files, beside the items, so that a list of items does not walk past them.
CREATE TABLE marketplace_artifacts (
    item_id     bigint      NOT NULL,
    company_id  bigint      NOT NULL,
    file        bytea       NOT NULL,
    CONSTRAINT marketplace_artifacts_pkey PRIMARY KEY (item_id),
    CONSTRAINT marketplace_artifacts_item_fkey FOREIGN KEY (item_id) REFERENCES marketplace_items
);

-- Compressing 5 MB takes longer than writing them.
ALTER TABLE marketplace_artifacts ALTER COLUMN file SET STORAGE EXTERNAL;

CREATE TABLE marketplace_yanks (
    item_id         bigint      NOT NULL,
    company_id      bigint      NOT NULL,
    reason          text        NOT NULL,
    yanked_by_type  text        NOT NULL,
    yanked_by_id    bigint,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT marketplace_yanks_pkey PRIMARY KEY (item_id),
    CONSTRAINT marketplace_yanks_item_fkey FOREIGN KEY (item_id) REFERENCES marketplace_items,
    CONSTRAINT marketplace_yanks_reason_length CHECK (char_length(reason) BETWEEN 1 AND 2000)
);

CREATE TABLE marketplace_installs (
    job_id      bigint      NOT NULL,
    item_id     bigint      NOT NULL,
    company_id  bigint      NOT NULL,            -- whose flow it became
    flow_id     bigint      NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT marketplace_installs_pkey PRIMARY KEY (job_id),
    CONSTRAINT marketplace_installs_item_fkey FOREIGN KEY (item_id) REFERENCES marketplace_items
);

CREATE INDEX marketplace_installs_item_index ON marketplace_installs (item_id);

-- A chain a company: every entry names the hash of the one before, and is signed.
CREATE TABLE marketplace_log (
    company_id  bigint      NOT NULL,
    sequence    bigint      NOT NULL,
    kind        text        NOT NULL,
    item_id     bigint      NOT NULL,
    entry       bytea       NOT NULL,            -- canonical JSON: what the hash and the signature are of
    previous    bytea,                           -- the hash of the entry before; null for the first
    hash        bytea       NOT NULL,
    key_id      text        NOT NULL,
    signature   bytea       NOT NULL,
    CONSTRAINT marketplace_log_pkey PRIMARY KEY (company_id, sequence),
    CONSTRAINT marketplace_log_item_fkey FOREIGN KEY (item_id) REFERENCES marketplace_items,
    CONSTRAINT marketplace_log_kind_known CHECK (kind IN ('upload', 'yank')),
    CONSTRAINT marketplace_log_begins CHECK ((sequence = 1) = (previous IS NULL) AND sequence >= 1),
    CONSTRAINT marketplace_log_hash_of_entry CHECK (hash = sha256(entry)),
    CONSTRAINT marketplace_log_signature_length CHECK (octet_length(signature) = 64)
);

CREATE INDEX marketplace_log_item_index ON marketplace_log (item_id);

CREATE FUNCTION require_previous_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.sequence > 1 AND NOT EXISTS (
        SELECT FROM marketplace_log l
        WHERE l.company_id = NEW.company_id AND l.sequence = NEW.sequence - 1 AND l.hash = NEW.previous
    ) THEN
        RAISE EXCEPTION 'an entry of marketplace_log must follow the one before' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER marketplace_log_follows BEFORE INSERT ON marketplace_log
    FOR EACH ROW EXECUTE FUNCTION require_previous_entry();

CREATE FUNCTION refuse_every_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER marketplace_items_unchanged BEFORE UPDATE OR DELETE ON marketplace_items
    FOR EACH ROW EXECUTE FUNCTION refuse_every_change();
CREATE TRIGGER marketplace_items_untruncated BEFORE TRUNCATE ON marketplace_items
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_every_change();
CREATE TRIGGER marketplace_artifacts_unchanged BEFORE UPDATE OR DELETE ON marketplace_artifacts
    FOR EACH ROW EXECUTE FUNCTION refuse_every_change();
CREATE TRIGGER marketplace_artifacts_untruncated BEFORE TRUNCATE ON marketplace_artifacts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_every_change();
CREATE TRIGGER marketplace_yanks_unchanged BEFORE UPDATE OR DELETE ON marketplace_yanks
    FOR EACH ROW EXECUTE FUNCTION refuse_every_change();
CREATE TRIGGER marketplace_yanks_untruncated BEFORE TRUNCATE ON marketplace_yanks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_every_change();
CREATE TRIGGER marketplace_installs_unchanged BEFORE UPDATE OR DELETE ON marketplace_installs
    FOR EACH ROW EXECUTE FUNCTION refuse_every_change();
CREATE TRIGGER marketplace_installs_untruncated BEFORE TRUNCATE ON marketplace_installs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_every_change();
CREATE TRIGGER marketplace_log_unchanged BEFORE UPDATE OR DELETE ON marketplace_log
    FOR EACH ROW EXECUTE FUNCTION refuse_every_change();
CREATE TRIGGER marketplace_log_untruncated BEFORE TRUNCATE ON marketplace_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_every_change();

-- The one way a company sees what another one has: what was uploaded by a parent is its own and its children's; by a
-- child, that child's, its parent's and its siblings'; and what is not private is everybody's.
CREATE FUNCTION visible_items(viewer bigint) RETURNS SETOF marketplace_items LANGUAGE sql STABLE AS $$
    SELECT i.* FROM marketplace_items i
    WHERE NOT i.private OR i.company_id = ANY (ARRAY(
        SELECT c.id FROM companies v
        JOIN companies c ON c.id IN (v.id, v.parent_id) OR c.parent_id IN (v.id, v.parent_id)
        WHERE v.id = viewer
    ))
$$;

-- What a job that is not about many items has to say of its end.
ALTER TABLE jobs ADD COLUMN outcome jsonb;

-- The item that a flow was installed from; no foreign key, since flows come and go by the thousand.
ALTER TABLE flows ADD COLUMN installed_from bigint;
ALTER TABLE deleted_flows ADD COLUMN installed_from bigint;
