-- name: find_block
-- In how many seconds an account and an address may try again; null or less: now. A window is as long as $3 and begins
-- with its first failure; $4 and $5 are what an account and an address may have in one.
SELECT extract(epoch FROM max(since + $3::interval - clock_timestamp()))::float8 AS seconds
FROM login_failures
WHERE (kind = 'account' AND subject = $1 AND failures >= $4)
   OR (kind = 'address' AND subject = $2 AND failures >= $5);

-- name: count_failure
-- One more for the account and one more for the address, always in this order, so that nobody waits in a circle. A
-- window that is over begins anew.
INSERT INTO login_failures AS f (kind, subject, failures, since)
VALUES ('account', $1, 1, clock_timestamp()), ('address', $2, 1, clock_timestamp())
ON CONFLICT (kind, subject) DO UPDATE
SET failures = CASE WHEN f.since > clock_timestamp() - $3::interval THEN f.failures + 1 ELSE 1 END,
    since = CASE WHEN f.since > clock_timestamp() - $3::interval THEN f.since ELSE clock_timestamp() END
RETURNING kind, failures;

-- name: forget_account
-- Its owner has logged in, or has a new password. The address keeps its count: one account does not buy an attacker
-- guesses at others.
DELETE FROM login_failures WHERE kind = 'account' AND subject = $1;

-- name: prune_failures
-- Windows that are over. Some thousands at most: each row took a hash of tens of milliseconds to come here.
DELETE FROM login_failures WHERE since < clock_timestamp() - $1::interval;
