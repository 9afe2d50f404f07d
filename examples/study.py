"""96 networks on the bundled digits over width, depth, learning rate, batch size and label noise: which measures predict their gap?

    genscope study examples/study.py --jobs 2 --html study.html

Under 30 minutes on two cores; stop it whenever you like, the same command goes on.
"""

import genscope

STUDY = genscope.Study(
    name="digits-96",
    grid={
        "width": [32, 128],
        "depth": [1, 2, 3],
        "batch_size": [32, 128],
        "learning_rate": [1e-3, 4e-3],
        "label_noise": [0.0, 0.1, 0.25, 0.5],
    },
    fixed={"epochs": 150, "stop_at_loss": 0.01},
    budget="fast",
    target="gap",
    group="label_noise",  # noise alone explains most of the gap: what does a measure know beyond it?
)
