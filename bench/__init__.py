"""How fast, beside a peer measured in the same run on the same servers.

bulk_delete     the whole job against a raw batched DELETE of the same rows
queue_latency   accepted -> in progress, beside arq as it comes
http            requests a second, beside a bare aiohttp server and FastAPI on the same rows
undo            taking a bulk delete back, against the delete itself
fairness        ten deletes of one company beside another one's of a million versions, against the same ten alone

An absolute figure says as much about the machine as about the program, so every bench prints ratios and the machine's
facts, and checks that the work was really done before it says how long it took.

servers     PostgreSQL and Valkey of our own, and the facts
report      medians, quantiles, tables
tenants     companies, flows, and many versions at once
documents   workflows of about 2 kB
children    programs that do one thing when told to, so that their time and memory are their own
job_runner  one of them: a worker's tools, runner and handlers, for one job
bystander   one row at a time beside whatever runs
roles       the real API, scheduler and worker as processes
raw_delete  another: the peer of bulk_delete
stock_arq   the peer of queue_latency
http_cases  what http asks, and the targets
contestants the servers it asks, each in its own words
sites       HTTP servers as processes
load        many requests at a time, from a process of its own
bare_http   the peer of http, and fastapi_http another; plain is the SQL of both
"""
