-- name: list_pauses
-- When nothing was fired, as far back as an instant can still be asked for that.
SELECT began_at, ended_at FROM firing_pauses
WHERE ended_at IS NULL OR ended_at > $1 ORDER BY began_at;

-- name: begin_pause
-- Stops all firing; nothing is returned where it is stopped already.
INSERT INTO firing_pauses (reason) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id, began_at;

-- name: end_pause
-- Lets everything fire again from now on; of a clock that was set back meanwhile, from when the pause began.
UPDATE firing_pauses SET ended_at = greatest(began_at, clock_timestamp()) WHERE ended_at IS NULL RETURNING id, began_at;

-- name: is_paused
-- Whether nothing may be fired now: what dispatch asks before it sends.
SELECT EXISTS (SELECT FROM firing_pauses WHERE ended_at IS NULL);
