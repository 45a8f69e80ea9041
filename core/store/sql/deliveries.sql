-- name: claim_staged
-- What is due for delivery, leased to one relay; how, says the function (migration 0014).
SELECT id, attempt, queue FROM claim_staged($1, $2, $3, $4, $5);

-- name: mark_delivered
-- Settles exactly what was claimed: a job that has moved on to another attempt since is left alone.
UPDATE jobs j
SET deliver_at = NULL, relayed_until = NULL, delivered_at = clock_timestamp()
FROM unnest($1::bigint[], $2::integer[]) AS sent (id, attempt)
WHERE j.id = sent.id AND j.attempt = sent.attempt AND j.status = 'queued' AND j.deliver_at IS NOT NULL;

-- name: release_staged
-- Gives back what Redis did not take, so that the next beat tries again at once.
UPDATE jobs SET relayed_until = NULL WHERE id = ANY($1::bigint[]) AND deliver_at IS NOT NULL;

-- name: next_delivery_in
-- Seconds until something not yet due becomes due; null if nothing is waiting.
SELECT extract(epoch FROM min(deliver_at) - clock_timestamp())::float8 FROM jobs
WHERE deliver_at > (SELECT clock_timestamp());

-- name: find_undelivered
-- Jobs handed to Redis a while ago that no worker has claimed: Redis may have forgotten them.
SELECT id, attempt, queue FROM jobs
WHERE finished_at IS NULL AND status = 'queued' AND delivered_at < clock_timestamp() - $1::interval
ORDER BY delivered_at LIMIT $2;

-- name: stage_again
-- Under the same id, and only if nothing has happened to the job since it was looked at.
UPDATE jobs j
SET deliver_at = clock_timestamp(), delivered_at = NULL
FROM unnest($1::bigint[], $2::integer[]) AS lost (id, attempt)
WHERE j.id = lost.id AND j.attempt = lost.attempt AND j.status = 'queued' AND j.deliver_at IS NULL;

-- name: hint_staged
-- Wakes the relay through LISTEN. Only for staging from the command line, which has no Redis: NOTIFY makes commits
-- queue behind each other, so the busy paths do without it.
SELECT pg_notify('penstock_staged', '');
