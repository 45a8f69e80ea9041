-- People: who logs in, what programs act for them, what signs their tokens, and what slows down guessing.

-- A company may ask more or less often than others.
ALTER TABLE companies ADD COLUMN rate_limit integer;            -- null: the installation's; 0: as often as it likes
ALTER TABLE companies ADD CONSTRAINT companies_rate_limit_range CHECK (rate_limit BETWEEN 0 AND 1000000);

-- Noted at most once a minute, by the request that finds the note older than that.
ALTER TABLE api_keys ADD COLUMN last_used_at timestamptz;       -- null: never used

-- Who may log in. The address is the name to log in with, so no two companies share one.
CREATE TABLE users (
    id              bigint GENERATED ALWAYS AS IDENTITY,
    company_id      bigint      NOT NULL,
    email           text        NOT NULL,        -- as it was given
    email_folded    text COLLATE "C" NOT NULL,   -- in lower case, folded by us: what is compared
    name            text        NOT NULL,
    role            text        NOT NULL,
    password_hash   text        NOT NULL,        -- Argon2id with its parameters, in PHC form
    epoch           integer     NOT NULL DEFAULT 1,   -- in every token; rises where the older ones shall open nothing
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at       timestamptz,                 -- null: may log in
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_email_key UNIQUE (email_folded),
    CONSTRAINT users_company_fkey FOREIGN KEY (company_id) REFERENCES companies,
    CONSTRAINT users_role_known CHECK (role IN ('administrator', 'manager', 'user', 'read-only')),
    CONSTRAINT users_email_length CHECK (char_length(email) BETWEEN 3 AND 320),
    CONSTRAINT users_name_length CHECK (char_length(name) BETWEEN 1 AND 255)
);
CREATE INDEX users_company_index ON users (company_id);

-- Programs that act for one user, with that user's role. The secret is random, so its SHA-256 is enough to keep.
CREATE TABLE oauth_clients (
    id              bigint GENERATED ALWAYS AS IDENTITY,
    company_id      bigint      NOT NULL,
    user_id         bigint      NOT NULL,
    name            text        NOT NULL,
    client_id       text COLLATE "C" NOT NULL,   -- public: what a client calls itself
    digest          bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at    timestamptz,                 -- null: never fetched a token
    revoked_at      timestamptz,                 -- null: not revoked
    CONSTRAINT oauth_clients_pkey PRIMARY KEY (id),
    CONSTRAINT oauth_clients_client_key UNIQUE (client_id),
    CONSTRAINT oauth_clients_company_fkey FOREIGN KEY (company_id) REFERENCES companies,
    CONSTRAINT oauth_clients_user_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE,
    CONSTRAINT oauth_clients_name_length CHECK (char_length(name) BETWEEN 1 AND 255)
);
CREATE INDEX oauth_clients_company_index ON oauth_clients (company_id);
CREATE INDEX oauth_clients_user_index ON oauth_clients (user_id);

-- What signs login tokens, for the whole installation: the newest. Kept readable because signing needs the secret.
CREATE TABLE signing_keys (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    kid         text COLLATE "C" NOT NULL,       -- public: names the key in the head of a token
    secret      bytea       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT signing_keys_pkey PRIMARY KEY (id),
    CONSTRAINT signing_keys_kid_key UNIQUE (kid),
    CONSTRAINT signing_keys_secret_length CHECK (octet_length(secret) >= 32)
);

-- Wrong passwords of late, by account and by address. Only digests: people type passwords where the name belongs.
CREATE TABLE login_failures (
    kind        text        NOT NULL,            -- account or address
    subject     bytea       NOT NULL,            -- SHA-256 of the name that was typed, or of the address
    failures    integer     NOT NULL,
    since       timestamptz NOT NULL,            -- the first of them; a window begins there
    CONSTRAINT login_failures_pkey PRIMARY KEY (kind, subject),
    CONSTRAINT login_failures_kind_known CHECK (kind IN ('account', 'address'))
);
CREATE INDEX login_failures_since_index ON login_failures (since);
