-- name: show_entries
-- A page of an application's job log, the jobs of these kinds that meet the predicate put in, as their dialect shows
-- them, and their ids, both in the order put in; how many there are in all; and what the token that asks may see.
-- What tells about other jobs has a parent and is no entry. Nothing is sought if the application is not the token's. A
-- page that ends the list tells how long it is.
SELECT t.application_id, t.scopes, page.items, page.ids,
       CASE WHEN page.size < $4 AND (page.size > 0 OR $5 = 0) THEN $5 + page.size
            ELSE (SELECT count(*) FROM jobs j
                  WHERE t.application_id = $2 AND j.company_id = t.company_id AND j.application_id = $2
                    AND j.parent_id IS NULL AND j.kind = ANY($3::text[]) AND /* query */ TRUE)
       END AS total
FROM open_token($1) t
CROSS JOIN LATERAL (
    SELECT coalesce(string_agg(/* shown */ ''::bytea, ','::bytea ORDER BY /* order */ 1), '') AS items,
           array_agg(j.id ORDER BY /* order */ 1) AS ids, count(*) AS size
    FROM jobs j
    WHERE j.company_id = t.company_id AND j.id = ANY(ARRAY(
        SELECT j.id FROM jobs j
        WHERE t.application_id = $2 AND j.company_id = t.company_id AND j.application_id = $2
          AND j.parent_id IS NULL AND j.kind = ANY($3::text[]) AND /* query */ TRUE
        ORDER BY /* order */ 1
        LIMIT $4 OFFSET $5
    ))
) AS page;

-- name: show_entry
-- One entry by its number or its public id, as its dialect shows it, and what the token that asks may see, in one round
-- trip. No row: the token opens nothing. No revision: its application has no such entry.
SELECT t.application_id, t.scopes, j.id, j.revision, /* shown */ ''::bytea AS shown
FROM open_token($1) t
LEFT JOIN jobs j ON (j.id = $3 OR j.public_id = $4) AND j.company_id = t.company_id
                AND j.application_id = t.application_id AND j.kind = ANY($2::text[]);
