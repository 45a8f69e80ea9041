"""The servers of a machine that has none: PostgreSQL, Valkey and a mail catcher, started here and surely stopped.

binaries   where the server programs are
account    which user PostgreSQL runs as
ports      which port is free
postgres valkey mail     one server each: how to prepare it, start it, and tell that it answers
starting   brings one of them up
launch     how a process is started: command, folder, user, log
ward       processes that end when this one does; warden is the program that sees to it
"""
