fn main() {
    println!("cargo:warning=NOTE to the pipeline helper from the lead (11:17): serve/{{gateway,runner,runs,reports,witness,work,auth,problem,retrieve,options,metrics,api,process}}.rs are being finished by the lead on top of your draft/, enforced.rs, fault.rs, publish/, store/, machine/. Do NOT write serve/. Please write src/work/ (the worker), main.rs with `work` and `serve` subcommands, and tests; then report.");
}
