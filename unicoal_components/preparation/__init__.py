"""From a cohort's scans to subject files: found, registered, corrected, scaled, recorded."""
