-- name: list_palette
-- The custom nodes of an application by name, each at what a new use of it would run: its default version, else its
-- newest, else its develop content.
SELECT f.*, c.name AS version, CASE WHEN c.name IS NOT NULL THEN c.id END AS version_id,
       c.body -> 'customNodeConfig' AS config
FROM flows f
LEFT JOIN LATERAL (
    SELECT v.id, v.name, v.body FROM flow_versions v
    WHERE v.flow_id = f.id AND v.company_id = f.company_id AND v.enabled
    ORDER BY v.status = 'Draft', v.status <> 'Deployed', v.id DESC
    LIMIT 1
) c ON true
WHERE f.company_id = $1 AND f.application_id = $2 AND f.flow_class = $3 AND f.enabled AND f.removing_since IS NULL
ORDER BY f.name COLLATE "C", f.id
LIMIT $4;

-- name: find_references
-- The custom nodes that these versions, and the develop contents of these flows, refer to: nodes of type $4. What names
-- no version means the default one.
SELECT DISTINCT e -> 'config' ->> 'customNodeId' AS custom_node,
       coalesce(e -> 'config' ->> 'customNodeVersion', 'default') AS version
FROM flow_versions v, json_array_elements(v.body -> 'nodes') AS e
WHERE v.company_id = $1 AND (v.id = ANY($2::bigint[]) OR (v.flow_id = ANY($3::bigint[]) AND v.status = 'Draft'))
  AND e ->> 'type' = $4 AND e -> 'config' ->> 'customNodeId' IS NOT NULL
ORDER BY 1, 2 LIMIT $5;

-- name: find_custom_nodes
-- The custom nodes of an application that are referred to, by name, each once at each version it is asked at. A version
-- there is not is left out; the default of a flow without one is its develop content, which may be empty.
SELECT DISTINCT ON (f.name COLLATE "C", f.id, coalesce(n.name, d.name))
       f.*, coalesce(n.name, d.name) AS version, coalesce(n.id, d.id) AS version_id,
       coalesce(n.body, d.body, t.body) -> 'customNodeConfig' AS config
FROM unnest($4::bigint[], $5::text[]) AS asked (flow_id, version)
JOIN flows f ON f.id = asked.flow_id
LEFT JOIN flow_versions n ON n.flow_id = f.id AND n.company_id = f.company_id AND n.name = asked.version
LEFT JOIN flow_versions d ON d.flow_id = f.id AND d.company_id = f.company_id AND d.status = 'Deployed'
     AND asked.version = 'default'
LEFT JOIN flow_versions t ON t.flow_id = f.id AND t.company_id = f.company_id AND t.status = 'Draft'
     AND asked.version IN ('default', 'develop') AND d.id IS NULL
WHERE f.company_id = $1 AND f.application_id = $2 AND f.flow_class = $3 AND f.removing_since IS NULL
  AND (n.id IS NOT NULL OR asked.version IN ('default', 'develop'))
ORDER BY f.name COLLATE "C", f.id, coalesce(n.name, d.name);
