"""One line about each metric of ours, for whoever reads the scrape; agent/README.md says more."""

HELP = {
    "mr_prober_runs": "Finished runs by outcome.",
    "mr_prober_skipped_runs": "Beats without a run, by reason.",
    "mr_prober_flagged_runs": "Runs with a flag, whatever their outcome.",
    "mr_prober_run_seconds": "How long runs took.",
    "mr_prober_state": "Last confirmed state: 0 success, 1 failure, 2 timeout, 3 broken, 4 not run yet, 5 paused, 6 gone.",
    "mr_prober_seconds_since_success": "Time since the last success, or since the combination is known.",
    "mr_prober_start_lag_seconds": "Latest start in the last cell of 15 seconds.",
    "mr_prober_cpu_seconds": "CPU of the runs that ended in the last cell.",
    "mr_prober_peak_rss_bytes": "Largest process of a run in the last cell.",
    "mr_prober_agent_heartbeat": "Always 1.",
    "mr_prober_agent_configuration_age_seconds": "Time since the API last said that the configuration is the newest.",
    "mr_prober_agent_spool_bytes": "What waits on disk for Solomon.",
    "mr_prober_agent_spool_age_seconds": "Age of the oldest point that waits on disk for Solomon.",
    "mr_prober_agent_dropped_points": "Points that were lost, by reason.",
    "mr_prober_agent_runs_started": "Runs that were started.",
    "mr_prober_agent_runs_in_progress": "Runs at the end of the last cell.",
    "mr_prober_agent_canary_runs": "Runs of the agent's own canaries, by whether their verdict was right or wrong.",
    "mr_prober_agent_cpu_seconds": "CPU of the agent itself since its start.",
    "mr_prober_agent_rss_bytes": "Memory of the agent itself.",
}
