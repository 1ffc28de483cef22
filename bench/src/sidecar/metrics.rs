//! What the sidecar says of itself in its metrics.

use anyhow::Result;

/// The metrics of processes, one text.
///
/// # Errors
/// When one does not answer.
pub async fn read(admin: &[u16]) -> Result<String> {
    let mut text = String::new();
    for port in admin {
        let url = format!("http://127.0.0.1:{port}/metrics");
        text += &reqwest::get(url).await?.error_for_status()?.text().await?;
    }
    Ok(text)
}

/// The sum of a metric over all its labels.
pub fn sum(metrics: &str, name: &str) -> f64 {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) {
            return None;
        }
        rest.rsplit(' ').next()?.parse::<f64>().ok()
    });
    values.sum()
}

/// Seconds of its own that processes spent so far.
pub async fn own_seconds(admin: &[u16]) -> Result<f64> {
    let metrics = read(admin).await?;
    Ok(sum(&metrics, "aios_sidecar_own_time_seconds_sum"))
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_no_other_is() {
        let text = "a_sum{role=\"egress\"} 0.5\na_sum{role=\"ingress\"} 0.25\na_sum_total 9\na 7\n";
        assert!((sum(text, "a_sum") - 0.75).abs() < f64::EPSILON);
        assert!((sum(text, "a") - 7.0).abs() < f64::EPSILON);
    }
}
